package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The baseline: how streaming platforms have delivered through a message broker. A listener subscribes to a subject of
// its own and asks for a track; one of several publishers sends it there as messages, through the broker. It is built as
// well as we know how: NATS without persistence, which is the fastest broker that Debian has; messages of 256 KiB, the
// size at which it moves most bytes a CPU second here; requests spread over the publishers by a queue group; and a window
// of four messages that the listener opens by acknowledging each, without which a slow listener would lose music or the
// broker would keep it in memory. Credentials are checked by the broker, once a connection.
const (
	messageBytes = 256 << 10
	window       = 4
	playSubject  = "play"
	publishers   = 2
)

// startNATS starts a broker and its publishers over a folder of music.
func startNATS(ctx context.Context, root, scratch string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(scratch, "nats.conf")
	err = os.WriteFile(conf, fmt.Appendf(nil, "host: 127.0.0.1\nport: %d\nauthorization { user: %q, password: %q }\nmax_connections: 64K\nwrite_deadline: \"10s\"\n",
		port, user, password), 0o600)
	if err != nil {
		return nil, err
	}
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	s := &server{name: "nats", url: url}
	s.cmd = exec.CommandContext(ctx, "nats-server", "-c", conf)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.pids = append(s.pids, s.cmd.Process.Pid)
	self, err := os.Executable()
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	if err := listens(strings.TrimPrefix(url, "nats://")); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	control, err := connect(url)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	defer control.Close()
	for range publishers {
		p := exec.CommandContext(ctx, self, publisherCommand, url, root)
		p.Stderr = os.Stderr
		if err := p.Start(); err != nil {
			return nil, errors.Join(err, s.stop())
		}
		s.pids = append(s.pids, p.Process.Pid)
		s.also = append(s.also, p)
	}
	s.open = func(ctx context.Context, track string) (io.ReadCloser, error) { return openNATS(ctx, url, track) }
	for deadline := time.Now().Add(10 * time.Second); ; {
		reply, err := control.Request(playSubject+".ready", nil, 200*time.Millisecond)
		if err == nil && string(reply.Data) == "ready" {
			return s, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("the publishers do not answer: %w", err), s.stop())
		}
	}
}

func connect(url string, options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(url, append([]nats.Option{nats.UserInfo(user, password), nats.Timeout(10 * time.Second)}, options...)...)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// publisherCommand is the first argument with which this program is a publisher.
const publisherCommand = "broker-publisher"

// publish sends tracks to those who ask, until the broker is gone.
func publish(url, root string) error {
	gone := make(chan struct{})
	nc, err := connect(url, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
	if err != nil {
		return err
	}
	if _, err := nc.QueueSubscribe(playSubject, "publishers", func(m *nats.Msg) {
		go func() {
			if err := send(nc, root, m); err != nil {
				fmt.Fprintln(os.Stderr, "publisher:", err)
			}
		}()
	}); err != nil {
		return err
	}
	if _, err := nc.QueueSubscribe(playSubject+".ready", "publishers", func(m *nats.Msg) {
		_ = m.Respond([]byte("ready")) // who does not hear it asks again
	}); err != nil {
		return err
	}
	<-gone
	return nil
}

// send publishes a track to the subject that the request names: each message with its number, and an empty one at the
// end. It goes on as the listener acknowledges.
func send(nc *nats.Conn, root string, m *nats.Msg) (err error) {
	f, err := os.Open(filepath.Join(root, filepath.Base(string(m.Data))))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	acks := nats.NewInbox()
	credit := make(chan *nats.Msg, 2*window)
	sub, err := nc.ChanSubscribe(acks, credit)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sub.Unsubscribe()) }()
	buf := make([]byte, messageBytes)
	for n := 0; ; n++ {
		if n >= window {
			select {
			case a := <-credit:
				if len(a.Data) > 0 {
					return nil // the listener has left
				}
			case <-time.After(30 * time.Second):
				return nil // it has gone without a word
			}
		}
		read, err := io.ReadFull(f, buf)
		if err := nc.PublishRequest(m.Reply, acks, buf[:read]); err != nil {
			return err
		}
		if err != nil {
			if read > 0 && errors.Is(err, io.ErrUnexpectedEOF) {
				return nc.PublishRequest(m.Reply, acks, nil)
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// openNATS is a listener: a connection, a subscription, a request.
func openNATS(ctx context.Context, url, track string) (io.ReadCloser, error) {
	nc, err := connect(url, nats.NoReconnect())
	if err != nil {
		return nil, err
	}
	inbox := nats.NewInbox()
	l := &natsStream{ctx: ctx, nc: nc, messages: make(chan *nats.Msg, 2*window)}
	if _, err = nc.ChanSubscribe(inbox, l.messages); err == nil {
		err = nc.PublishRequest(playSubject, inbox, []byte(track))
	}
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return l, nil
}

type natsStream struct {
	ctx      context.Context
	nc       *nats.Conn
	messages chan *nats.Msg
	rest     []byte
	reply    string
	ended    bool
}

func (l *natsStream) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if l.ended {
			return 0, io.EOF
		}
		if l.reply != "" { // the message before has been read
			if err := l.nc.Publish(l.reply, nil); err != nil {
				return 0, err
			}
			l.reply = ""
		}
		select {
		case m := <-l.messages:
			l.rest, l.reply, l.ended = m.Data, m.Reply, len(m.Data) == 0
		case <-l.ctx.Done():
			return 0, l.ctx.Err()
		case <-time.After(30 * time.Second):
			return 0, errors.New("nothing comes")
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *natsStream) Close() error {
	if l.reply != "" && !l.ended {
		_ = l.nc.Publish(l.reply, []byte("bye")) // a publisher that does not hear it gives up by itself
	}
	l.nc.Close()
	return nil
}

// baseNames are what the publishers call the tracks.
func baseNames(n int) []string {
	var out []string
	for i := range n {
		out = append(out, "noise "+strconv.Itoa(i)+".wav")
	}
	slices.Sort(out)
	return out
}
