package subsonic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"regexp"
	"time"

	"tutti"
	"tutti/delivery"
)

var formatName = regexp.MustCompile(`^[A-Za-z0-9]{1,16}$`)

// limit returns the lower of two bit rates, of which 0 is none.
func limit(a, b int) int {
	switch {
	case a == 0:
		return b
	case b == 0:
		return a
	}
	return min(a, b)
}

// stream sends a song as the client can play it. "raw" is the original whatever maxBitRate says, but not beyond what
// the account is allowed.
func (s *Server) stream(c *call) error {
	const maxSeconds = 7 * 24 * 3600
	id := c.id("id")
	format := c.get("format")
	if format != "" && !formatName.MatchString(format) {
		c.fail(codeGeneric, "the parameter %q must be the name of a format, or raw", "format")
	}
	rate := int(c.int("maxBitRate", 0, 0, 1_000_000))
	if format == "raw" {
		rate = 0
	}
	want := tutti.Want{
		Format:  format,
		MaxRate: limit(rate, c.user.MaxBitRate),
		Offset:  time.Duration(c.float("timeOffset", 0, 0, maxSeconds) * float64(time.Second)),
	}
	estimate := c.bool("estimateContentLength", false)
	if err := c.err(); err != nil {
		return err
	}
	return s.cfg.Bytes.ServeTrack(c.w, c.r, tutti.PlanRequest{Viewer: c.viewer, Track: id, Want: want},
		delivery.Options{EstimateLength: estimate})
}

// download sends the original, whatever bit rate the account may listen at: taking originals away is a role of its own.
// Of an album it sends all of them in a ZIP file, which is what apps know from other servers.
func (s *Server) download(c *call) error {
	id := c.id("id")
	if err := c.err(); err != nil {
		return err
	}
	if id.Is(tutti.PrefixAlbum) {
		album, tracks, err := s.cfg.Catalog.Album(c.r.Context(), c.viewer, id)
		if err != nil {
			return err
		}
		return s.cfg.Bytes.ServeAlbum(c.w, c.r, c.viewer, &album, tracks)
	}
	return s.cfg.Bytes.ServeTrack(c.w, c.r, tutti.PlanRequest{Viewer: c.viewer, Track: id, Want: tutti.Want{Format: "raw"}},
		delivery.Options{Download: true})
}

// maxPixels bounds what a client can have a picture scaled to.
const maxPixels = 4096

func (s *Server) getCoverArt(c *call) error {
	id := c.id("id")
	size := c.count("size", 0, maxPixels)
	if err := c.err(); err != nil {
		return err
	}
	return s.cfg.Bytes.ServeCover(c.w, c.r, c.viewer, id, size)
}

// getAvatar draws a picture for a user: a pattern that is theirs alone, so that people in a list can be told apart
// without anybody uploading anything.
func (s *Server) getAvatar(c *call) error {
	name := c.need("username")
	if err := c.err(); err != nil {
		return err
	}
	u, err := s.cfg.Accounts.User(c.r.Context(), name)
	if err != nil {
		return err
	}
	picture, err := avatar(string(u.ID))
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, "subsonic: draw an avatar", err)
	}
	sum := sha256.Sum256(picture)
	h := c.w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Cache-Control", "private, max-age=86400")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(c.w, c.r, "", time.Time{}, bytes.NewReader(picture))
	return nil
}

const (
	avatarCells  = 5 // across; the right half mirrors the left
	avatarPixels = 240
)

// avatar draws a grid of cells, each on or off by a bit of the seed's hash, in a colour that the hash chooses too: one
// of 360 hues at a lightness at which it stands out from white by at least 3:1 (WCAG 2.2, 1.4.11).
func avatar(seed string) ([]byte, error) {
	sum := sha256.Sum256([]byte("avatar\x00" + seed))
	hue := float64(int(sum[0])<<8|int(sum[1])) / 65536 * 360
	img := image.NewPaletted(image.Rect(0, 0, avatarPixels, avatarPixels), color.Palette{
		color.RGBA{0xf4, 0xf4, 0xf6, 0xff}, fromHue(hue),
	})
	const cell = avatarPixels / (avatarCells + 1)
	const margin = cell / 2
	for y := range avatarCells {
		for x := range avatarCells {
			column := min(x, avatarCells-1-x)
			if sum[2+y*3+column]&1 == 0 {
				continue
			}
			for py := margin + y*cell; py < margin+(y+1)*cell; py++ {
				for px := margin + x*cell; px < margin+(x+1)*cell; px++ {
					img.SetColorIndex(px, py, 1)
				}
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// fromHue is HSL with half saturation and a lightness of two fifths (CSS Color 4 §7).
func fromHue(hue float64) color.RGBA {
	const saturation, lightness = 0.5, 0.4
	channel := func(n float64) uint8 {
		k := n + hue/30
		for k >= 12 {
			k -= 12
		}
		a := saturation * min(lightness, 1-lightness)
		return uint8((lightness-a*max(-1, min(k-3, 9-k, 1)))*255 + 0.5)
	}
	return color.RGBA{channel(0), channel(8), channel(4), 0xff}
}
