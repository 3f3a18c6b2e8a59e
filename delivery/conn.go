package delivery

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"tutti"
)

// sender is a network connection to which a file can be sent without net/http in between.
//
// net/http's own ReadFrom also ends in sendfile(2), but it keeps a buffer of 32 KiB for the whole of the transfer,
// which for a paced listener is the whole of the song, and more than everything else that the listener costs us. So
// audio is written to the connection directly, after the header has been flushed, and net/http is then told how much
// that was (see sent), so that it keeps count and the connection stays good for the next request.
type sender interface {
	net.Conn
	// sendFile sends from the file's position what is left of lr, which must be a regular file behind a limit, and
	// returns how many bytes went out. lr.N is what remains. It stops at the connection's write deadline.
	sendFile(lr *io.LimitedReader) (int64, error)
}

// sent is a reader that stands for bytes which are already on the wire. A conn whose ReadFrom is given one sends
// nothing and returns the number.
type sent int64

func (sent) Read([]byte) (int, error) { return 0, io.EOF }

type tcpConn struct{ *net.TCPConn }

// ReadFrom implements io.ReaderFrom for net/http.
func (c *tcpConn) ReadFrom(r io.Reader) (int64, error) {
	if n, ok := r.(sent); ok {
		return int64(n), nil
	}
	return c.TCPConn.ReadFrom(r)
}

func (c *tcpConn) sendFile(lr *io.LimitedReader) (int64, error) { return c.TCPConn.ReadFrom(lr) }

// unixConn is a connection on a Unix socket. The net package has no sendfile for those, though Linux does.
type unixConn struct{ *net.UnixConn }

// ReadFrom implements io.ReaderFrom for net/http; it hides the embedded method of the same name for packets.
func (c *unixConn) ReadFrom(r io.Reader) (int64, error) {
	switch r := r.(type) {
	case sent:
		return int64(r), nil
	case *io.LimitedReader:
		if _, ok := r.R.(*os.File); ok {
			return c.sendFile(r)
		}
	}
	return io.Copy(struct{ io.Writer }{c.UnixConn}, r)
}

func (c *unixConn) sendFile(lr *io.LimitedReader) (total int64, err error) {
	file, ok := lr.R.(*os.File)
	if !ok {
		return 0, tutti.Errorf(tutti.KindInternal, "delivery.sendFile", "not a file: %T", lr.R)
	}
	src, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	dst, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var sendErr error
	ctlErr := src.Control(func(in uintptr) {
		err := dst.Write(func(out uintptr) (done bool) {
			for lr.N > 0 {
				n, err := syscall.Sendfile(int(out), int(in), nil, int(min(lr.N, 1<<30)))
				if n > 0 {
					total += int64(n)
					lr.N -= int64(n)
				}
				switch {
				case errors.Is(err, syscall.EINTR):
				case errors.Is(err, syscall.EAGAIN):
					return false // the runtime waits until the socket takes more, or until its deadline
				case err != nil:
					sendErr = os.NewSyscallError("sendfile", err)
					return true
				case n <= 0: // the file is shorter than lr thought
					return true
				}
			}
			return true
		})
		if sendErr == nil {
			sendErr = err
		}
	})
	if sendErr == nil {
		sendErr = ctlErr
	}
	return total, sendErr
}

// listener hands out connections that are senders.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	switch c := c.(type) {
	case *net.TCPConn:
		return &tcpConn{c}, err
	case *net.UnixConn:
		return &unixConn{c}, err
	}
	return c, err
}

type connKey struct{}

// keepConn puts the connection where the request can find it: http.Server's ConnContext.
func keepConn(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(sender); ok {
		return context.WithValue(ctx, connKey{}, s)
	}
	return ctx
}

// connOf returns the connection on which nothing but the answer to r is being written, or nil.
func connOf(r *http.Request) sender {
	if r.ProtoMajor != 1 || r.TLS != nil {
		return nil
	}
	c, _ := r.Context().Value(connKey{}).(sender)
	return c
}

// listen opens what an address names: "host:port" for TCP, "unix:/path" for a socket file, which replaces a dead one.
func listen(ctx context.Context, addr string, lc *net.ListenConfig) (net.Listener, error) {
	const op = "delivery.Listen"
	path, unix := strings.CutPrefix(addr, "unix:")
	if !unix {
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, listenError(op, addr, err)
		}
		return listener{l}, nil
	}
	l, err := lc.Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		// Either a server is listening there, or one was killed and left its socket file. Only the first answers.
		if c, dialErr := (&net.Dialer{}).DialContext(ctx, "unix", path); dialErr == nil {
			_ = c.Close()
			return nil, listenError(op, addr, err)
		} else if !errors.Is(dialErr, syscall.ECONNREFUSED) {
			return nil, listenError(op, addr, err)
		}
		if err := os.Remove(path); err != nil {
			return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
		l, err = lc.Listen(ctx, "unix", path)
	}
	if err != nil {
		return nil, listenError(op, addr, err)
	}
	return listener{l}, nil
}

func listenError(op, addr string, err error) error {
	message := "cannot listen on " + addr + ": " + err.Error()
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		message = "cannot listen on " + addr + ": something else listens there already; stop it or choose another address"
	case errors.Is(err, syscall.EACCES):
		message = "cannot listen on " + addr + ": this user may not; choose a port above 1023, or a folder it can write to"
	}
	return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: message, Err: err}
}

// isGone reports whether a write failed because the other side has left.
func isGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)
}
