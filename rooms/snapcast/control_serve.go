package snapcast

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"tutti"
	"tutti/clock"
	"tutti/rooms"
)

// maxSessions bounds the apps that are connected by each way.
const maxSessions = 64

// Control lets apps control rooms as Snapcast's: by lines over TCP, and over HTTP as single requests and as WebSockets, both
// at /jsonrpc. Make it with Server.Control and Run it.
type Control struct {
	c     *controller
	s     *Server
	lines net.Listener // nil where there is none
	web   net.Listener // likewise
}

// Control opens HOST:PORT for lines and for HTTP, each where it is not "". Browser tells of the tracks that play. The
// caller runs the result, which closes the ports at the end.
func (s *Server) Control(ctx context.Context, lines, web string, browser tutti.Browser) (*Control, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name this machine for Snapcast's apps: %w", err)
	}
	k := &Control{s: s, c: &controller{
		house: s.house, browser: browser, now: s.clock.Now, codec: string(s.format), greeted: s.greeted,
		host: hostInfo{Arch: runtime.GOARCH, Name: name, OS: runtime.GOOS},
	}}
	for _, l := range []struct {
		address string
		to      *net.Listener
	}{{lines, &k.lines}, {web, &k.web}} {
		if l.address == "" {
			continue
		}
		if *l.to, err = (&net.ListenConfig{}).Listen(ctx, "tcp", l.address); err != nil {
			if k.lines != nil && l.to == &k.web {
				err = errors.Join(err, k.lines.Close())
			}
			return nil, fmt.Errorf("listen for Snapcast's apps: %w", err)
		}
	}
	return k, nil
}

// Addresses are where it listens for lines and for HTTP, "" where it does not.
func (k *Control) Addresses() (lines, web string) {
	if k.lines != nil {
		lines = k.lines.Addr().String()
	}
	if k.web != nil {
		web = k.web.Addr().String()
	}
	return lines, web
}

// Run serves apps until ctx ends.
func (k *Control) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 2)
	if k.lines != nil {
		wg.Go(func() {
			failed <- k.s.accept(ctx, k.lines, "a Snapcast app", maxSessions, k.talk)
			stop()
		})
	}
	if k.web != nil {
		wg.Go(func() {
			failed <- k.serveWeb(ctx)
			stop()
		})
	}
	<-ctx.Done()
	wg.Wait()
	close(failed)
	var err error
	for one := range failed {
		err = errors.Join(err, one)
	}
	return err
}

// talk is one app's connection: messages are lines, which end with a line feed and begin, when we send them, after a
// carriage return too.
func (k *Control) talk(ctx context.Context, conn net.Conn) error {
	in := bufio.NewReaderSize(conn, maxMessage)
	return k.session(ctx, func() ([]byte, error) {
		for {
			line, err := in.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				return nil, fmt.Errorf("a line of more than %d bytes", maxMessage)
			}
			if err != nil {
				return nil, err
			}
			if len(strings.TrimSpace(string(line))) > 0 {
				return line, nil
			}
		}
	}, func(m []byte) error {
		if err := conn.SetWriteDeadline(clock.Deadline(stall)); err != nil {
			return err
		}
		_, err := conn.Write(append(m, '\r', '\n'))
		return err
	}, conn.Close)
}

// session answers what is read and tells of changes, until either fails or ctx ends. hangUp wakes the reader.
func (k *Control) session(ctx context.Context, read func() ([]byte, error), write func([]byte) error, hangUp func() error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = hangUp() })()
	var writing sync.Mutex // messages are whole
	tell := func(m []byte) error {
		writing.Lock()
		defer writing.Unlock()
		return write(m)
	}
	var telling sync.WaitGroup
	defer telling.Wait()
	defer stop()
	telling.Go(func() {
		defer stop()
		if err := k.c.notify(ctx, tell); err != nil && ctx.Err() == nil {
			k.s.logger.Debug("a Snapcast app could not be told", "err", err)
		}
	})
	for {
		m, err := read()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if reply := k.c.answer(ctx, m); reply != nil {
			if err := tell(reply); err != nil {
				return err
			}
		}
	}
}

func (k *Control) serveWeb(ctx context.Context) error {
	places := make(chan struct{}, maxSessions)
	mux := http.NewServeMux()
	mux.HandleFunc("/jsonrpc", func(w http.ResponseWriter, r *http.Request) {
		// A page of somewhere else must not command the house with its visitor's reach, nor one whose name points here for a
		// while; apps that are no pages send no origin.
		if o := r.Header.Get("Origin"); o != "" {
			if u, err := url.Parse(o); err != nil || !strings.EqualFold(u.Host, r.Host) || !rooms.LocalName(u.Hostname()) {
				http.Error(w, "only this server's own pages may ask", http.StatusForbidden)
				return
			}
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			http.Error(w, "too many apps are connected", http.StatusServiceUnavailable)
			return
		}
		switch {
		case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
			k.socket(ctx, w, r)
		case r.Method == http.MethodPost:
			k.post(w, r)
		default:
			w.Header().Set("Allow", "POST")
			http.Error(w, "POST a JSON-RPC request, or connect a WebSocket", http.StatusMethodNotAllowed)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: greetingTime, ReadTimeout: silence, WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	defer func() { // Close waits for nobody
		for range maxSessions {
			places <- struct{}{}
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // ends Serve
	if err := server.Serve(k.web); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve Snapcast's apps: %w", err)
	}
	return nil
}

func (k *Control) post(w http.ResponseWriter, r *http.Request) {
	m, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if err != nil {
		http.Error(w, "the request is too long or was cut short", http.StatusBadRequest)
		return
	}
	reply := k.c.answer(r.Context(), m)
	if reply == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(reply); err != nil {
		k.s.logger.Debug("a Snapcast app could not be answered", "err", err)
	}
}

func (k *Control) socket(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(maxMessage)
	err = k.session(ctx, func() ([]byte, error) {
		_, m, err := conn.Read(ctx)
		return m, err
	}, func(m []byte) error {
		ctx, cancel := context.WithTimeout(ctx, stall)
		defer cancel()
		return conn.Write(ctx, websocket.MessageText, m)
	}, conn.CloseNow)
	if err != nil && websocket.CloseStatus(err) == -1 && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		k.s.logger.Info("a Snapcast app was lost", "from", r.RemoteAddr, "err", err)
	}
}
