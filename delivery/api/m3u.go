package api

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"tutti"
	"tutti/audio"
	"tutti/delivery"
)

// m3uType is the media type of an M3U file (RFC 8216 §4).
const m3uType = "audio/mpegurl"

// m3uLot is how many tracks are asked for at a time, so that a long list is not in memory as a whole.
const m3uLot = 2000

type playlistImport struct {
	Name    string `json:"name,omitempty" doc:"Left out, what the file calls itself."`
	Comment string `json:"comment,omitempty"`
	Public  bool   `json:"public,omitempty"`
	M3U     string `json:"m3u" doc:"The file's text."`
}

type notFound struct {
	Line  int    `json:"line" doc:"Which entry of the file, from 1."`
	Path  string `json:"path" doc:"As the file has it."`
	Title string `json:"title,omitempty" doc:"Likewise."`
}

type importReply struct {
	Playlist playlistReply `json:"playlist"`
	Missing  []notFound    `json:"missing" doc:"The entries for which no track was found, in order."`
}

func (c *call) exportPlaylist() error {
	ctx := c.r.Context()
	p, err := c.Catalog.Playlist(ctx, c.viewer, c.id())
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#PLAYLIST:%s\n", oneLine(p.Name))
	for lot := range slices.Chunk(p.Tracks, m3uLot) {
		tracks, err := c.Catalog.TracksByID(ctx, c.viewer, lot)
		if err != nil {
			return err
		}
		for i := range tracks {
			t := &tracks[i]
			fmt.Fprintf(&b, "#EXTINF:%d,%s - %s\n", int64(math.Round(t.Duration.Seconds())), oneLine(t.DisplayArtist), oneLine(t.Title))
			name := oneLine(t.Path)
			if strings.HasPrefix(name, "#") {
				name = "./" + name // else it would be a comment
			}
			b.WriteString(name + "\n")
		}
	}
	h := c.w.Header()
	h.Set("Content-Type", m3uType)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Content-Disposition", delivery.Attachment(p.Name+".m3u8"))
	_, _ = c.w.Write([]byte(b.String())) // who has left needs no file
	return nil
}

// oneLine makes one line of a text, whatever a tag has in it.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

func (c *call) importPlaylist(b playlistImport) (importReply, error) {
	ctx := c.r.Context()
	list, err := audio.ParseM3U([]byte(b.M3U))
	if err != nil {
		return importReply{}, &tutti.Error{Kind: tutti.KindInvalid, Op: "api.importPlaylist", Message: "this is no M3U playlist with at least one and at most 100,000 entries", Err: err}
	}
	if len(list.Entries) > maxList {
		return importReply{}, checkList(make([]tutti.ID, len(list.Entries)))
	}
	sought := make([]tutti.Sought, len(list.Entries))
	for i, e := range list.Entries {
		sought[i] = tutti.Sought{Paths: pathsOf(e), Title: e.Title, Duration: e.Duration}
	}
	found, err := c.Catalog.FindTracks(ctx, c.viewer, sought)
	if err != nil {
		return importReply{}, err
	}
	out := importReply{Missing: []notFound{}}
	tracks := make([]tutti.ID, 0, len(found))
	for i, id := range found {
		if id == "" {
			out.Missing = append(out.Missing, notFound{i + 1, list.Entries[i].Path, list.Entries[i].Title})
			continue
		}
		tracks = append(tracks, id)
	}
	out.Playlist, err = c.savePlaylist(tutti.Playlist{}, playlistEdit{
		Name: cmp.Or(strings.TrimSpace(b.Name), list.Name), Comment: b.Comment, Public: b.Public, Tracks: tracks,
	})
	return out, err
}

// pathsOf are the places at which an entry's file may be: where it says, seen from a library's root, and each of its ends,
// since nobody knows where the list lay.
func pathsOf(e audio.M3UEntry) []string {
	if e.URL() {
		return nil
	}
	paths := e.Candidates(".")
	ends := audio.M3UEntry{Path: "/" + path.Clean("/" + e.Path)[1:]}
	for _, p := range ends.Candidates(".") {
		if len(paths) == 0 || p != paths[0] {
			paths = append(paths, p)
		}
	}
	return paths
}
