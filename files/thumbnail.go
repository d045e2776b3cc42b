package files

import (
	"image"
	"image/color"

	"golang.org/x/image/draw"
)

// maxPreview is the maximum width and height of a preview.
const maxPreview = 640

// thumbnail returns m in at most maxPreview × maxPreview pixels.
func thumbnail(m image.Image) *image.RGBA {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	if longer := max(w, h); longer > maxPreview {
		w = max(1, w*maxPreview/longer)
		h = max(1, h*maxPreview/longer)
		m = shrink(m, longer/maxPreview)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.BiLinear.Scale(small, small.Bounds(), m, m.Bounds(), draw.Src, nil)
	return small
}

// shrink averages each n × n pixels into one. draw's own scalers either sample only a few of them, or use far more
// memory than a large picture itself.
func shrink(m image.Image, n int) image.Image {
	from, ok := m.(image.RGBA64Image)
	if !ok || n < 2 {
		return m
	}
	b := m.Bounds()
	small := image.NewRGBA(image.Rect(0, 0, (b.Dx()+n-1)/n, (b.Dy()+n-1)/n))
	for y := range small.Rect.Max.Y {
		for x := range small.Rect.Max.X {
			block := image.Rect(b.Min.X+x*n, b.Min.Y+y*n, b.Min.X+x*n+n, b.Min.Y+y*n+n).Intersect(b)
			small.SetRGBA(x, y, mean(from, block))
		}
	}
	return small
}

func mean(m image.RGBA64Image, block image.Rectangle) color.RGBA {
	var r, g, b, a uint64
	for y := block.Min.Y; y < block.Max.Y; y++ {
		for x := block.Min.X; x < block.Max.X; x++ {
			c := m.RGBA64At(x, y)
			r, g, b, a = r+uint64(c.R), g+uint64(c.G), b+uint64(c.B), a+uint64(c.A)
		}
	}
	n := uint64(block.Dx()*block.Dy()) * 257 // of 16 bits to 8
	half := n / 2
	return color.RGBA{uint8((r + half) / n), uint8((g + half) / n), uint8((b + half) / n), uint8((a + half) / n)}
}

// upright returns m rotated by its Exif orientation.
func upright(m *image.RGBA, orientation int) *image.RGBA {
	if !turned(orientation) {
		return m
	}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	shown := image.NewRGBA(image.Rect(0, 0, w, h))
	if sideways(orientation) {
		shown = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range shown.Rect.Max.Y {
		for x := range shown.Rect.Max.X {
			// The comments say where the first row and the first column are shown (Exif 2.32, 4.6.4).
			fx, fy := x, y
			switch orientation {
			case 2: // top, right
				fx = w - 1 - x
			case 3: // bottom, right
				fx, fy = w-1-x, h-1-y
			case 4: // bottom, left
				fy = h - 1 - y
			case 5: // left, top
				fx, fy = y, x
			case 6: // right, top
				fx, fy = y, h-1-x
			case 7: // right, bottom
				fx, fy = w-1-y, h-1-x
			case 8: // left, bottom
				fx, fy = w-1-y, x
			}
			shown.SetRGBA(x, y, m.RGBAAt(fx, fy))
		}
	}
	return shown
}
