package harness

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"mime/multipart"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// File is an uploaded file as openapi.yaml describes it.
type File struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Size    int64  `json:"size"`
	Type    string `json:"type"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Preview bool   `json:"preview"`
}

// Upload uploads a file as the request body.
func (c *Client) Upload(to, name, content string) File {
	c.T.Helper()
	var f File
	c.Do("POST", to+"/files?name="+url.QueryEscape(name), Raw(content)).Want(201).Into(&f)
	return f
}

// UploadForm uploads a file as a multipart form.
func (c *Client) UploadForm(to, name, content string) Answer {
	c.T.Helper()
	body, contentType := fileForm(c.T, "file", name, content)
	return c.Do("POST", to+"/files", body, contentType)
}

func fileForm(t *testing.T, field, name, content string) (body Raw, contentType string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part, err := form.CreateFormFile(field, name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return Raw(b.String()), "Content-Type: " + form.FormDataContentType()
}

// PostFiles posts a message with files and no text to a room or a conversation.
func (c *Client) PostFiles(to string, files ...File) Event {
	c.T.Helper()
	return c.Do("POST", to+"/messages", WithFiles(files...)).Want(201).Event()
}

func WithFiles(files ...File) map[string]any {
	ids := []string{}
	for _, f := range files {
		ids = append(ids, f.ID)
	}
	return map[string]any{"files": ids}
}

func FilePath(f File) string { return "/v1/files/" + f.ID }

// Link creates a link to a file and returns its URL.
func (c *Client) Link(f File) string {
	c.T.Helper()
	var made struct {
		URL       string `json:"url"`
		ExpiresIn int    `json:"expires_in"`
	}
	c.Do("POST", FilePath(f)+"/link", nil).Want(200).Into(&made)
	if made.ExpiresIn != 3600 || !strings.HasPrefix(made.URL, FilePath(f)+"?") {
		c.T.Fatalf("link = %+v", made)
	}
	return made.URL
}

// Picture returns a PNG of the given size.
func Picture(t *testing.T, width, height int) string {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			img.Set(x, y, color.NRGBA{uint8(x), uint8(y), uint8(x * y), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TinyPicture is for tests that need any picture.
var TinyPicture = sync.OnceValue(func() Raw {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		panic(err)
	}
	return Raw(b.String())
})

// Blobs returns the names of the stored files in a data directory.
func Blobs(t *testing.T, dataDir string) (names []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dataDir, "files", "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		names = append(names, filepath.Base(f))
	}
	return names
}

// WantBlobs waits until the data directory holds exactly these files and their previews.
func WantBlobs(t *testing.T, dataDir string, files ...File) {
	t.Helper()
	want := map[string]bool{}
	for _, f := range files {
		if want[f.ID] = true; f.Preview {
			want[f.ID+".preview"] = true
		}
	}
	Eventually(t, fmt.Sprintf("storage holds exactly the files %v", want), func() bool {
		names := Blobs(t, dataDir)
		for _, name := range names {
			if !want[name] {
				return false
			}
		}
		return len(names) == len(want)
	})
}

// Unfinished returns the temporary files of uploads.
func Unfinished(t *testing.T, dataDir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dataDir, "files", "incoming", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
