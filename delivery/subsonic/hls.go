package subsonic

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tutti"
	"tutti/delivery"
)

// HTTP Live Streaming (RFC 8216): a song is a list of segments of AAC in MPEG-TS, each of which is an object of its
// own in the track cache, made when somebody first asks for it. Segments are addressed by number at hls.ts, with the
// credentials that came with the playlist, since players send nothing of their own.

const (
	segmentLength = 10 * time.Second
	shortest      = time.Second // what is shorter at the end belongs to the segment before it
	hlsRate       = 192         // kbit/s, where the client names none, of stereo
)

// segmentCount is how many segments a song has.
func segmentCount(d time.Duration) int {
	n := int(d / segmentLength)
	if d%segmentLength >= shortest || n == 0 {
		n++
	}
	return n
}

// segment returns the n-th of count segments.
func segment(d time.Duration, n, count int) (from, to time.Duration) {
	from = time.Duration(n) * segmentLength
	if n == count-1 {
		return from, d
	}
	return from, from + segmentLength
}

// hls answers a playlist: of segments for one bit rate, of playlists for several.
func (s *Server) hls(c *call) error {
	id := c.id("id")
	var rates []int
	for _, v := range c.all("bitRate") {
		rate, _, _ := strings.Cut(v, "@") // "1000@480x360" is a rate with a picture size; music has none
		rates = append(rates, int(c.asInt("bitRate", rate, 0, 1_000_000)))
	}
	if len(rates) > len(bitRates) {
		c.fail(codeGeneric, "too many bit rates: at most %d", len(bitRates))
	}
	if err := c.err(); err != nil {
		return err
	}
	t, err := s.cfg.Catalog.Track(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	if t.Duration <= 0 {
		return failf(codeGeneric, "the length of this song is not known, so it cannot be cut into segments; use stream instead")
	}
	params := streamParams{hls: true, profile: tutti.Profile{Format: "ts", BitRate: hlsBitRate(c, &t, first(rates))}}
	if len(rates) > 1 {
		if err := s.prepareSegment(c, &t, params, 0); err != nil { // players begin with the first rate
			return err
		}
		return s.sendPlaylist(c, masterPlaylist(c, &t, rates))
	}
	return s.segments(c, &t, params, 0)
}

// prepareSegment has the segment made that a player will ask for next. Where none can be made (there is no ffmpeg) it
// is time to say so: players do not show why a segment is missing.
func (s *Server) prepareSegment(c *call, t *tutti.Track, p streamParams, n int) error {
	want := tutti.Want{Exact: &p.profile}
	want.From, want.To = segment(t.Duration, n, segmentCount(t.Duration))
	_, err := s.cfg.Catalog.Plan(c.r.Context(), tutti.PlanRequest{Viewer: c.viewer, Track: t.ID, Want: want})
	return err
}

// hlsBitRate picks the rate of a playlist: what was asked for, within what the account may have.
func hlsBitRate(c *call, t *tutti.Track, asked int) int {
	if asked == 0 {
		asked = hlsRate
		if t.Channels == 1 {
			asked /= 2
		}
		if !t.Lossless() && t.BitRate > 0 {
			asked = min(asked, t.BitRate) // more than the original holds is wasted
		}
	}
	return roundRate(limit(asked, c.user.MaxBitRate))
}

// masterPlaylist is RFC 8216 §4.3.4. A variant's bandwidth includes what MPEG-TS adds to the audio, about a tenth.
func masterPlaylist(c *call, t *tutti.Track, rates []int) string {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:3\n")
	seen := map[int]bool{}
	for _, asked := range rates {
		rate := hlsBitRate(c, t, asked)
		if seen[rate] {
			continue
		}
		seen[rate] = true
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,CODECS=\"mp4a.40.2\"\n", rate*1100)
		b.WriteString("hls.m3u8?" + c.signedQuery("id", string(t.ID), "bitRate", strconv.Itoa(rate)) + "\n")
	}
	return b.String()
}

// signedQuery makes the query of an address that a player will fetch as the one who makes this request.
func (c *call) signedQuery(pairs ...string) string {
	q := make([]string, 0, len(pairs)/2+len(carried))
	for i := 0; i < len(pairs); i += 2 {
		q = append(q, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
	}
	for _, name := range carried {
		if v, ok := c.lookup(name); ok {
			q = append(q, name+"="+url.QueryEscape(v))
		}
	}
	return strings.Join(q, "&")
}

// segments sends the playlist of a song's segments (RFC 8216 §4.3.3).
func (s *Server) segments(c *call, t *tutti.Track, p streamParams, offset time.Duration) error {
	if t.Duration <= 0 {
		return failf(codeGeneric, "the length of this song is not known, so it cannot be cut into segments; use stream instead")
	}
	count := segmentCount(t.Duration)
	if err := s.prepareSegment(c, t, p, min(int(offset/segmentLength), count-1)); err != nil {
		return err
	}
	var b strings.Builder
	target := segmentLength
	if from, to := segment(t.Duration, count-1, count); to-from > target {
		target = to - from
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n", seconds(target))
	if offset > 0 {
		fmt.Fprintf(&b, "#EXT-X-START:TIME-OFFSET=%.3f\n", min(offset, t.Duration).Seconds())
	}
	query := c.signedQuery("id", string(t.ID), "params", p.String())
	for n := range count {
		from, to := segment(t.Duration, n, count)
		fmt.Fprintf(&b, "#EXTINF:%.6f,\nhls.ts?segment=%d&%s\n", (to - from).Seconds(), n, query)
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return s.sendPlaylist(c, b.String())
}

func (s *Server) sendPlaylist(c *call, playlist string) error {
	h := c.w.Header()
	h.Set("Content-Type", "application/vnd.apple.mpegurl")
	h.Set("Content-Length", strconv.Itoa(len(playlist)))
	h.Set("Cache-Control", "private, no-store")
	c.w.WriteHeader(http.StatusOK)
	// A client that went away is no failure of ours, and there is nobody left to tell.
	_, _ = c.w.Write([]byte(playlist))
	return nil
}

// hlsSegment sends one segment.
func (s *Server) hlsSegment(c *call) error {
	id := c.id("id")
	c.need("segment")
	n := c.int("segment", 0, 0, 1_000_000)
	p := c.streamParams("params")
	if err := c.err(); err != nil {
		return err
	}
	if !p.hls {
		return failf(codeGeneric, "the parameter %q does not describe segments", "params")
	}
	t, err := s.cfg.Catalog.Track(c.r.Context(), c.viewer, id)
	if err != nil {
		return err
	}
	count := segmentCount(t.Duration)
	if t.Duration <= 0 || n >= int64(count) {
		return failf(codeNotFound, "there is no such segment")
	}
	p.profile.BitRate = roundRate(limit(p.profile.BitRate, c.user.MaxBitRate))
	want := tutti.Want{Exact: &p.profile}
	want.From, want.To = segment(t.Duration, int(n), count)
	return s.cfg.Bytes.ServeTrack(c.w, c.r, tutti.PlanRequest{Viewer: c.viewer, Track: id, Want: want}, delivery.Options{})
}
