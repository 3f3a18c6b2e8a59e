package sendspin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"tutti/rooms"
)

// dialTime is how long a client that announces itself may take to be reached.
const dialTime = 10 * time.Second

// ClientURL is where a client that announces itself at HOST:PORT is called, by what its announcement says of the path.
func ClientURL(at, path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", errors.New("a client announced itself without a path")
	}
	u := url.URL{Scheme: "ws", Host: at, Path: path}
	return u.String(), nil
}

// Announced says where the clients are that announce themselves now, by their URLs, each time that it has been looked at:
// those that are not connected are called. Who said that it does not want to be called again is left until it has been away.
func (s *Server) Announced(urls []string) {
	for {
		select {
		case s.announced <- urls:
			return
		case <-s.announced: // nobody has looked at it, and it is old now
		}
	}
}

// visit calls clients until ctx ends.
func (s *Server) visit(ctx context.Context) {
	type ended struct {
		url  string
		wait bool // until it has been away
	}
	done := make(chan ended)
	var calls sync.WaitGroup
	defer calls.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	called := map[string]*struct{ busy, waits bool }{}
	for {
		select {
		case urls := <-s.announced:
			for url, c := range called {
				if !c.busy && !slices.Contains(urls, url) {
					delete(called, url)
				}
			}
			for _, url := range urls {
				c := called[url]
				if c == nil {
					c = &struct{ busy, waits bool }{}
					called[url] = c
				}
				if c.busy || c.waits {
					continue
				}
				c.busy = true
				calls.Go(func() {
					err := s.call(ctx, url)
					select {
					case done <- ended{url, final(err)}:
					case <-ctx.Done():
					}
				})
			}
		case e := <-done:
			c := called[e.url]
			c.busy, c.waits = false, e.wait
		case <-ctx.Done():
			return
		}
	}
}

// final reports whether a client said in its goodbye that it is not to be called again (spec, client/goodbye).
func final(err error) bool {
	var bye *goodbye
	return errors.As(err, &bye) && bye.reason != "restart" && bye.reason != "concurrent_attempt"
}

// call connects to a client and serves it to the end.
func (s *Server) call(ctx context.Context, to string) error {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		return fmt.Errorf("%d clients are connected", maxClients)
	}
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok {
			rooms.LimitUnsent(tcp, unsent)
		}
		return c, err
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it points elsewhere") },
	}
	ws, _, err := websocket.Dial(dialing, to, &websocket.DialOptions{HTTPClient: client, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		s.c.Logger.Debug("a Sendspin client that announces itself cannot be reached", "at", to, "err", err)
		return err
	}
	at, err := url.Parse(to)
	if err != nil {
		return errors.Join(err, ws.CloseNow())
	}
	return s.meet(ctx, ws, at.Host)
}
