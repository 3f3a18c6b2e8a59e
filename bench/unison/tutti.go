package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

const (
	user     = "unison"
	password = "one beat in every room"
)

// tutti is the server under measurement, with one room.
type tutti struct {
	url, snapcast string
	room, noise   string
	client        *http.Client
}

var readyAt = regexp.MustCompile(`(?m)^tutti ready at (\S+)`)

func startTutti(ctx context.Context, ps *processes, bin, dir string, length time.Duration) (*tutti, error) {
	songs := filepath.Join(dir, "music")
	if err := os.MkdirAll(songs, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(songs, "Noise.wav"), wave(music(length, 1)), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	// What the server does when it is at leisure would run at the players' priority here, since children inherit it, and take
	// whole slices of 100 ms from them (sched(7), SCHED_RR).
	p, err := ps.start(true, []string{"TUTTI_ADMIN_USER=" + user, "TUTTI_ADMIN_PASSWORD=" + password, "TUTTI_ANALYSE_ENABLED=false"}, nil,
		bin, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--music", songs, "--snapcast", "127.0.0.1:"+port)
	if err != nil {
		return nil, err
	}
	if err := until(ctx, "tutti", func() bool { return readyAt.MatchString(p.said.String()) }); err != nil {
		return nil, fmt.Errorf("%w: %s", err, p.said)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	t := &tutti{url: readyAt.FindStringSubmatch(p.said.String())[1], snapcast: port, client: &http.Client{Jar: jar, Timeout: patience}}
	if err := t.call(ctx, http.MethodPost, "session", map[string]string{"name": user, "password": password}, nil); err != nil {
		return nil, err
	}
	type item struct{ ID string }
	var rooms, tracks struct{ Items []item }
	if err := t.call(ctx, http.MethodGet, "rooms", nil, &rooms); err != nil {
		return nil, err
	}
	if err := until(ctx, "the music to be scanned", func() bool {
		return t.call(ctx, http.MethodGet, "tracks", nil, &tracks) == nil && len(tracks.Items) == 1
	}); err != nil {
		return nil, err
	}
	t.room, t.noise = rooms.Items[0].ID, tracks.Items[0].ID
	return t, nil
}

// play lets the room play from now on.
func (t *tutti) play(ctx context.Context) error {
	return t.call(ctx, http.MethodPut, "rooms/"+t.room+"/queue", map[string]any{"tracks": []string{t.noise}}, nil)
}

// call speaks the native API.
func (t *tutti) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, t.url+"/api/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		var problem struct{ Detail, Title string }
		_ = json.NewDecoder(resp.Body).Decode(&problem) // the status says enough
		return fmt.Errorf("%s %s: %s %s %s", method, path, resp.Status, problem.Title, problem.Detail)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// cookie is the one by which a browser is signed in.
func (t *tutti) cookie() (*http.Cookie, error) {
	u, err := url.Parse(t.url)
	if err != nil {
		return nil, err
	}
	cookies := t.client.Jar.Cookies(u)
	if len(cookies) == 0 {
		return nil, errors.New("signing in gave no cookie")
	}
	return cookies[0], nil
}

type player struct {
	ID, Kind  string
	Connected bool
	LatencyMs int64
}

func (t *tutti) players(ctx context.Context) ([]player, error) {
	var room struct{ Players []player }
	err := t.call(ctx, http.MethodGet, "rooms/"+t.room, nil, &room)
	return room.Players, err
}

// joined waits for so many players, lets the room play, and says what those that were started have printed where they do not come.
func (t *tutti) joined(ctx context.Context, ps *processes, n int) error {
	var last string
	err := until(ctx, fmt.Sprintf("%d players", n), func() bool {
		all, err := t.players(ctx)
		there := 0
		for _, p := range all {
			if p.Connected {
				there++
			}
		}
		last = fmt.Sprintf("last seen: %+v %v", all, err)
		return err == nil && there == n
	})
	if err != nil {
		return fmt.Errorf("%w; %s\n%s", err, last, ps.tail())
	}
	// Not before: a browser that starts beside it takes the machine from the room for so long that it begins its line anew, and
	// a snapclient on PulseAudio does not survive that (rooms/snapcast).
	return t.play(ctx)
}
