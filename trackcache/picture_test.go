package trackcache

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os/exec"
	"path/filepath"
	"testing"

	"tutti"
)

// corners is a picture whose corners are red, green, blue and (with alpha) transparent, clockwise from the top left.
func corners(w, h int, alpha bool) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	last := color.RGBA{255, 255, 255, 255}
	if alpha {
		last = color.RGBA{}
	}
	for y := range h {
		for x := range w {
			c := color.RGBA{255, 0, 0, 255}
			switch {
			case x >= w/2 && y < h/2:
				c = color.RGBA{0, 255, 0, 255}
			case x >= w/2:
				c = color.RGBA{0, 0, 255, 255}
			case y >= h/2:
				c = last
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

// name tells which of corners' colours is nearest.
func name(c color.Color) string {
	r, g, b, a := c.RGBA()
	on := func(v uint32) bool { return v > 0x8000 }
	switch {
	case !on(a):
		return "-"
	case on(r) && on(g) && on(b):
		return "w"
	case on(r):
		return "r"
	case on(g):
		return "g"
	case on(b):
		return "b"
	}
	return "?"
}

// clockwise reads the four corners of a picture.
func clockwise(img image.Image) string {
	b := img.Bounds()
	qx, qy := b.Dx()/4, b.Dy()/4
	return name(img.At(b.Min.X+qx, b.Min.Y+qy)) + name(img.At(b.Max.X-1-qx, b.Min.Y+qy)) +
		name(img.At(b.Max.X-1-qx, b.Max.Y-1-qy)) + name(img.At(b.Min.X+qx, b.Max.Y-1-qy))
}

func asJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// turned adds an Exif segment with an orientation to a JPEG file.
func turned(data []byte, o uint16, order binary.AppendByteOrder) []byte {
	head := "II*\x00"
	if order.String() == "BigEndian" {
		head = "MM\x00*"
	}
	b := append([]byte("Exif\x00\x00"), head...)
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	b = append(order.AppendUint32(order.AppendUint16(order.AppendUint16(b, 0x010F), 2), 1), 'x', 0, 0, 0) // another tag first
	b = append(order.AppendUint16(order.AppendUint32(order.AppendUint16(order.AppendUint16(b, 0x0112), 3), 1), o), 0, 0)
	b = order.AppendUint32(b, 0)
	segment := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(b)+2))
	return append(append(bytes.Clone(data[:2]), append(segment, b...)...), data[2:]...)
}

func TestPictures(t *testing.T) {
	dir := t.TempDir()
	wide := corners(400, 200, false)
	original := asJPEG(t, wide)
	write(t, filepath.Join(dir, "a.jpg"), original)
	write(t, filepath.Join(dir, "a.png"), asPNG(t, wide))
	write(t, filepath.Join(dir, "alpha.png"), asPNG(t, corners(400, 200, true)))
	var anim bytes.Buffer
	if err := gif.Encode(&anim, wide, nil); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a.gif"), anim.Bytes())
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", filepath.Join(dir, "a.png"), "-quality", "95", filepath.Join(dir, "a.webp")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sound(t, filepath.Join(dir, "bare.flac"))
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", filepath.Join(dir, "bare.flac"), "-i", filepath.Join(dir, "a.jpg"), "-map", "0:a", "-map", "1:v",
		"-c", "copy", "-disposition:v", "attached_pic", filepath.Join(dir, "a.flac")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for o := uint16(0); o <= 9; o++ {
		var order binary.AppendByteOrder = binary.LittleEndian
		if o%2 == 0 {
			order = binary.BigEndian
		}
		write(t, filepath.Join(dir, string('0'+rune(o))+".jpg"), turned(original, o, order))
	}
	c := newCache(t, Config{Origin: files(t, dir), Local: true})
	for _, test := range []struct {
		path    string
		profile tutti.Profile
		mime    string
		w, h    int
		colours string
		same    bool // the very bytes of the original
	}{
		{"a.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 100, 50, "rgbw", false},
		{"a.jpg", tutti.Profile{Pixels: 1}, "image/jpeg", 1, 1, "", false},
		{"a.jpg", tutti.Profile{Pixels: 400}, "image/jpeg", 400, 200, "rgbw", true},
		{"a.jpg", tutti.Profile{Pixels: 4000}, "image/jpeg", 400, 200, "rgbw", true},
		{"a.jpg", tutti.Profile{Format: "png", Pixels: 100}, "image/png", 100, 50, "rgbw", false},
		{"a.png", tutti.Profile{Format: "jpeg"}, "image/jpeg", 400, 200, "rgbw", false},
		{"alpha.png", tutti.Profile{Pixels: 100}, "image/png", 100, 50, "rgb-", false},
		{"alpha.png", tutti.Profile{Pixels: 100, Format: "jpeg"}, "image/jpeg", 100, 50, "rgbw", false},
		{"a.gif", tutti.Profile{Pixels: 4000}, "image/jpeg", 400, 200, "rgbw", false},
		{"a.webp", tutti.Profile{Pixels: 200}, "image/jpeg", 200, 100, "rgbw", false},
		{"a.flac", tutti.Profile{Cover: true}, "image/jpeg", 400, 200, "rgbw", true},
		{"a.flac", tutti.Profile{Cover: true, Pixels: 80, Format: "jpeg"}, "image/jpeg", 80, 40, "rgbw", false},
		// What the tag says of the stored picture, row 0 and column 0: CIPA DC-008 §4.6.4.
		{"0.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 100, 50, "rgbw", false},
		{"1.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 100, 50, "rgbw", false},
		{"2.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 100, 50, "grwb", false},
		{"3.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 100, 50, "bwrg", false},
		{"4.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 100, 50, "wbgr", false},
		{"5.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 50, 100, "rwbg", false},
		{"6.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 50, 100, "wrgb", false},
		{"7.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 50, 100, "bgrw", false},
		{"8.jpg", tutti.Profile{Pixels: 400}, "image/jpeg", 200, 400, "gbwr", false},
		{"9.jpg", tutti.Profile{Pixels: 100}, "image/jpeg", 100, 50, "rgbw", false},
	} {
		for _, version := range []tutti.Version{"", "v1"} {
			r := tutti.Ref{Library: "1", Path: test.path, Profile: test.profile}
			if version != "" {
				r.Version = version + tutti.Version(test.path)
			}
			for range 2 { // from the maker, then from memory
				o, err := c.Open(t.Context(), r)
				if err != nil {
					t.Errorf("%s as %s: %v", test.path, test.profile, err)
					break
				}
				data := all(t, o)
				img, _, err := image.Decode(bytes.NewReader(data))
				if err != nil {
					t.Fatal(err)
				}
				if o.ContentType() != test.mime || o.Size() != int64(len(data)) || img.Bounds().Dx() != test.w || img.Bounds().Dy() != test.h {
					t.Errorf("%s as %s: %s of %v", test.path, test.profile, o.ContentType(), img.Bounds())
				}
				if got := clockwise(img); test.colours != "" && got != test.colours {
					t.Errorf("%s as %s: corners are %s, not %s", test.path, test.profile, got, test.colours)
				}
				if bytes.Equal(data, original) != test.same {
					t.Errorf("%s as %s: the original's bytes: %v", test.path, test.profile, !test.same)
				}
				if err := o.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if s := c.Stats(); s.HitsMemory < 20 {
		t.Errorf("%+v", s)
	}
	// A changed file without a version is another picture.
	write(t, filepath.Join(dir, "a.jpg"), asJPEG(t, corners(300, 300, false)))
	img, _, err := image.Decode(bytes.NewReader(fetch(t, c, tutti.Ref{Library: "1", Path: "a.jpg", Profile: tutti.Profile{Pixels: 100}})))
	if err != nil || img.Bounds().Dy() != 100 {
		t.Errorf("%v, %v", img.Bounds(), err)
	}
}

func TestHostilePictures(t *testing.T) {
	dir := t.TempDir()
	small := asPNG(t, corners(4, 4, false))
	bomb := bytes.Clone(small) // claims 50,000 × 50,000 pixels
	binary.BigEndian.PutUint32(bomb[16:], 50_000)
	binary.BigEndian.PutUint32(bomb[20:], 50_000)
	binary.BigEndian.PutUint32(bomb[29:], pngSum(bomb[12:29]))
	write(t, filepath.Join(dir, "bomb.png"), bomb)
	write(t, filepath.Join(dir, "cut.png"), small[:len(small)-20])
	write(t, filepath.Join(dir, "text.png"), []byte("not a picture"))
	write(t, filepath.Join(dir, "big.png"), make([]byte, maxPicture+1))
	write(t, filepath.Join(dir, "none.flac"), []byte("fLaC"))
	c := newCache(t, Config{Origin: files(t, dir), Local: true})
	for _, test := range []struct {
		path  string
		cover bool
		want  tutti.Kind
	}{
		{"bomb.png", false, tutti.KindExhausted},
		{"cut.png", false, tutti.KindInvalid},
		{"text.png", false, tutti.KindInvalid},
		{"big.png", false, tutti.KindExhausted},
		{"none.flac", true, tutti.KindInvalid},
		{"absent.png", false, tutti.KindNotFound},
	} {
		r := tutti.Ref{Library: "1", Path: test.path, Profile: tutti.Profile{Pixels: 2, Cover: test.cover}}
		if _, err := c.Open(t.Context(), r); !tutti.IsKind(err, test.want) {
			t.Errorf("%s: %v, want %s", test.path, err, test.want)
		}
	}
}

func pngSum(b []byte) uint32 {
	crc := ^uint32(0)
	for _, v := range b {
		crc ^= uint32(v)
		for range 8 {
			crc = crc>>1 ^ 0xEDB88320&-(crc&1)
		}
	}
	return ^crc
}

func FuzzExif(f *testing.F) {
	img := asJPEG(f, corners(8, 8, false))
	f.Add(turned(img, 6, binary.LittleEndian))
	f.Add(turned(img, 3, binary.BigEndian))
	f.Add(img)
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II*\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := exifOrientation(b); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}
