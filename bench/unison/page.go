package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

var devtoolsAt = regexp.MustCompile(`DevTools listening on (ws://\S+)`)

// startPage lets a browser of its own play in the room, on a pair: it presses the button that a person presses.
func startPage(ctx context.Context, ps *processes, card *soundcard, pair int, chromium, dir string, t *tutti) error {
	own := filepath.Join(dir, "chromium"+strconv.Itoa(pair))
	if err := os.MkdirAll(own, 0o700); err != nil {
		return err
	}
	p, err := ps.start(true, card.pair(pair), nil, chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-background-timer-throttling", "--remote-debugging-port=0", "--user-data-dir="+own, "about:blank")
	if err != nil {
		return err
	}
	if err := until(ctx, "Chromium", func() bool { return devtoolsAt.MatchString(p.said.String()) }); err != nil {
		return fmt.Errorf("%w: %s", err, p.said)
	}
	conn, _, err := websocket.Dial(ctx, devtoolsAt.FindStringSubmatch(p.said.String())[1], nil)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(16 << 20)
	tools := &devtools{conn: conn}
	var target struct{ TargetID string }
	if err := tools.call(ctx, "Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return err
	}
	var session struct{ SessionID string }
	if err := tools.call(ctx, "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session); err != nil {
		return err
	}
	tools.session = session.SessionID
	cookie, err := t.cookie()
	if err != nil {
		return err
	}
	if err := tools.call(ctx, "Network.setCookie", map[string]any{"name": cookie.Name, "value": cookie.Value, "url": t.url}, nil); err != nil {
		return err
	}
	if err := tools.call(ctx, "Page.navigate", map[string]any{"url": t.url + "/rooms"}, nil); err != nil {
		return err
	}
	return until(ctx, "the page's button", func() bool {
		var pressed struct{ Result struct{ Value bool } }
		err := tools.call(ctx, "Runtime.evaluate", map[string]any{
			"expression": `(() => { const b = document.querySelector(".room-here button[aria-pressed=false]"); b?.click(); return b !== null; })()`,
			// Browsers let sound begin by a person's hand only.
			"userGesture": true, "returnByValue": true,
		}, &pressed)
		return err == nil && pressed.Result.Value
	})
}

// devtools speaks the Chrome DevTools Protocol, one question at a time.
type devtools struct {
	conn    *websocket.Conn
	session string
	last    int
}

func (d *devtools) call(ctx context.Context, method string, params, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	d.last++
	message := map[string]any{"id": d.last, "method": method, "params": params}
	if d.session != "" {
		message["sessionId"] = d.session
	}
	if err := wsjson.Write(ctx, d.conn, message); err != nil {
		return err
	}
	for {
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := wsjson.Read(ctx, d.conn, &answer); err != nil {
			return err
		}
		switch {
		case answer.ID != d.last: // an event
		case answer.Error != nil:
			return fmt.Errorf("%s: %s", method, answer.Error.Message)
		case out == nil:
			return nil
		default:
			return json.Unmarshal(answer.Result, out)
		}
	}
}
