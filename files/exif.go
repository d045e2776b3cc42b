package files

import (
	"bytes"
	"encoding/binary"
)

const (
	exifPrefix = "Exif\x00\x00"
	// maxExif is how much Exif data is examined, in bytes: as much as one segment of a JPEG can hold.
	maxExif = 64 << 10

	tagOrientation = 0x0112
	typeShort      = 3
	typeLong       = 4
)

// orientationOf finds the orientation in Exif data, a TIFF file, in its first directory (TIFF 6.0, section 2). It
// returns 0 if there is none.
func orientationOf(exif []byte) int {
	exif = bytes.TrimPrefix(exif, []byte(exifPrefix))
	if len(exif) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.BigEndian
	switch string(exif[:4]) {
	case "MM\x00*":
	case "II*\x00":
		order = binary.LittleEndian
	default:
		return 0
	}
	directory := order.Uint32(exif[4:])
	if int64(directory)+2 > int64(len(exif)) {
		return 0
	}
	entries := exif[directory+2:]
	for range order.Uint16(exif[directory:]) {
		if len(entries) < 12 {
			return 0
		}
		if order.Uint16(entries) == tagOrientation {
			var v uint32
			switch order.Uint16(entries[2:]) {
			case typeShort:
				v = uint32(order.Uint16(entries[8:]))
			case typeLong:
				v = order.Uint32(entries[8:])
			}
			if v < 1 || v > 8 {
				return 0
			}
			return int(v)
		}
		entries = entries[12:]
	}
	return 0
}

// turned reports whether a picture with that orientation must be rotated or mirrored for display.
func turned(orientation int) bool { return orientation > 1 }

// sideways reports whether width and height are swapped.
func sideways(orientation int) bool { return orientation > 4 }

// exifOf returns Exif data with only the orientation.
func exifOf(orientation int) []byte {
	return []byte{
		'M', 'M', 0, '*', 0, 0, 0, 8, // the directory follows at once
		0, 1, // with one entry
		tagOrientation >> 8, tagOrientation & 0xff, 0, typeShort, 0, 0, 0, 1, 0, byte(orientation), 0, 0,
		0, 0, 0, 0, // and no other one
	}
}
