package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Client speaks OpenSubsonic to the fleet's address, or to one of its members.
type Client struct {
	URL            string
	User, Password string
	HTTP           *http.Client // nil: http.DefaultClient
}

// Song is what the tests look at of a song.
type Song struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Album       string `json:"album"`
	AlbumID     string `json:"albumId"`
	CoverArt    string `json:"coverArt"`
	Path        string `json:"path"`
	Size        int64  `json:"size"`
	Suffix      string `json:"suffix"`
	ContentType string `json:"contentType"`
	Duration    int    `json:"duration"`
	PlayCount   int    `json:"playCount"`
	Starred     string `json:"starred"`
}

// Rest is the path and query of an OpenSubsonic endpoint with the client's credentials.
func (c *Client) Rest(endpoint string, params url.Values) string {
	v := url.Values{"u": {c.User}, "p": {c.Password}, "v": {"1.16.1"}, "c": {"fleet"}, "f": {"json"}}
	for k, vs := range params {
		v[k] = vs
	}
	return "/rest/" + endpoint + "?" + v.Encode()
}

// StatusError is an answer with another status than was hoped for.
type StatusError struct {
	Path   string
	Status int
	Header http.Header
	Body   string // its beginning
}

// Error says what was asked and answered.
func (e *StatusError) Error() string { return fmt.Sprintf("%s: %d: %s", e.Path, e.Status, e.Body) }

// Get returns the body that lies under a path; a status of 400 or more is a *StatusError.
func (c *Client) Get(ctx context.Context, path string) ([]byte, http.Header, error) {
	return c.do(ctx, http.MethodGet, path, nil, nil)
}

func (c *Client) do(ctx context.Context, method, path string, header http.Header, body io.Reader) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, body)
	if err != nil {
		return nil, nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode >= 400 {
		return nil, nil, &StatusError{Path: req.URL.Path, Status: resp.StatusCode, Header: resp.Header, Body: string(b[:min(len(b), 300)])}
	}
	return b, resp.Header, nil
}

// Call makes an OpenSubsonic request and decodes the named part of its answer into out (nil to ignore it).
func (c *Client) Call(ctx context.Context, endpoint string, params url.Values, part string, out any) error {
	body, _, err := c.Get(ctx, c.Rest(endpoint, params))
	if err != nil {
		return err
	}
	var answer struct {
		Response map[string]json.RawMessage `json:"subsonic-response"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: %w in %.200s", endpoint, err, body)
	}
	if string(answer.Response["status"]) != `"ok"` {
		return fmt.Errorf("%s: %.300s", endpoint, body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Response[part], out); err != nil {
		return fmt.Errorf("%s: %s: %w", endpoint, part, err)
	}
	return nil
}

// Songs lists the whole library.
func (c *Client) Songs(ctx context.Context) ([]Song, error) {
	var all []Song
	for {
		var page struct {
			Song []Song `json:"song"`
		}
		err := c.Call(ctx, "search3", url.Values{
			"query": {""}, "songCount": {"500"}, "songOffset": {fmt.Sprint(len(all))}, "albumCount": {"0"}, "artistCount": {"0"},
		}, "searchResult3", &page)
		if err != nil || len(page.Song) == 0 {
			return all, err
		}
		all = append(all, page.Song...)
	}
}

// Scanned waits until the library has at least want tracks, no scan is under way, and every catalogue process that may
// answer has heard of it, which is within a second.
func (c *Client) Scanned(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var status struct {
		Scanning bool `json:"scanning"`
		Count    int  `json:"count"`
	}
	var last error
	err := until(ctx, func() (bool, error) {
		last = c.Call(ctx, "getScanStatus", nil, "scanStatus", &status)
		return last == nil && !status.Scanning && status.Count >= want, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %d tracks, there are %d, scanning %v, last error %v: %w", want, status.Count, status.Scanning, last, err)
	}
	// A second is what a process may take to hear of it, and one that has not yet may answer any of the requests.
	const heard = 1200 * time.Millisecond
	for since := time.Now(); time.Since(since) < heard; {
		songs, err := c.Songs(ctx)
		if err != nil {
			return err
		}
		if len(songs) < want {
			since = time.Now()
		}
		if err := wait(ctx, poll); err != nil {
			return fmt.Errorf("waiting for %d tracks in every answer, there are %d: %w", want, len(songs), err)
		}
	}
	return nil
}

// Track is a song with the file that it was made from.
type Track struct {
	Song
	File string // its path on this machine
}

// Tracks lists the songs of albums whose names begin with prefix, each with its file under the music folder.
func (c *Client) Tracks(ctx context.Context, music, prefix string) ([]Track, error) {
	songs, err := c.Songs(ctx)
	if err != nil {
		return nil, err
	}
	var out []Track
	for _, s := range songs {
		if strings.HasPrefix(s.Album, prefix) {
			// The path that OpenSubsonic shows need not be the file's; the made-up music has its album and file name in it.
			out = append(out, Track{Song: s, File: filepath.Join(music, s.Album, filepath.Base(s.Path))})
		}
	}
	return out, nil
}

// reachable reports whether a plain GET is answered with 200.
func reachable(ctx context.Context, client *http.Client, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 300))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", address, resp.Status, b)
	}
	return nil
}
