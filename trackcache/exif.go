package trackcache

import (
	"encoding/binary"
	"image"
)

// orientation is how a picture must be turned to be upright: the values of Exif's tag 0x0112 (CIPA DC-008 §4.6.4),
// which cameras and phones set instead of turning the pixels.
type orientation uint16

const upright orientation = 1

// exifOrientation finds the orientation that a JPEG file states; upright where it states none that makes sense.
func exifOrientation(data []byte) orientation {
	if len(data) < 4 || data[0] != 0xFF || data[1] != 0xD8 { // SOI
		return upright
	}
	// Segments follow, each 0xFF, a marker, and a length that includes itself (ITU-T T.81 §B.1.1.4).
	for rest := data[2:]; len(rest) >= 4 && rest[0] == 0xFF; {
		marker, length := rest[1], int(binary.BigEndian.Uint16(rest[2:]))
		if marker == 0xDA || length < 2 || len(rest) < 2+length { // SOS: pixels from here
			return upright
		}
		segment := rest[4 : 2+length]
		if marker == 0xE1 && len(segment) > 6 && string(segment[:6]) == "Exif\x00\x00" {
			return tiffOrientation(segment[6:])
		}
		rest = rest[2+length:]
	}
	return upright
}

// tiffOrientation reads the tag from the first directory of a TIFF structure (TIFF 6.0 §2).
func tiffOrientation(b []byte) orientation {
	const (
		tag, short = 0x0112, 3
		entrySize  = 12
	)
	if len(b) < 8 {
		return upright
	}
	var order binary.ByteOrder
	switch string(b[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upright
	}
	at := uint64(order.Uint32(b[4:]))
	if at+2 > uint64(len(b)) {
		return upright
	}
	n := int(order.Uint16(b[at:]))
	for entries := b[at+2:]; n > 0 && len(entries) >= entrySize; n, entries = n-1, entries[entrySize:] {
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			if o := orientation(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			return upright
		}
	}
	return upright
}

// apply turns a picture that was stored in this orientation upright.
func (o orientation) apply(src *image.RGBA) *image.RGBA {
	if o <= upright || o > 8 {
		return src
	}
	w, h := src.Bounds().Dx(), src.Bounds().Dy()
	dw, dh := w, h
	if o >= 5 { // rows are columns
		dw, dh = h, w
	}
	dst := image.NewRGBA(image.Rect(0, 0, dw, dh))
	for y := range dh {
		for x := range dw {
			sx, sy := x, y
			switch o {
			case 2:
				sx = w - 1 - x
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sy = h - 1 - y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, h-1-x
			case 7:
				sx, sy = w-1-y, h-1-x
			case 8:
				sx, sy = w-1-y, x
			}
			copy(dst.Pix[dst.PixOffset(x, y):][:4], src.Pix[src.PixOffset(sx, sy):][:4])
		}
	}
	return dst
}
