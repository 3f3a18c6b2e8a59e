// Package local runs a real object store on this machine, for tests, for the end-to-end fleet and for benchmarks:
// versitygw, an S3 server over a directory, fetched and built from its source by the Go tool on first use. It listens
// on 127.0.0.1 only, has credentials of its own, made up for each start, and ends with the process that started it.
package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"tutti/clock"
)

// Version is the version of versitygw that is run.
const Version = "v1.8.0"

const program = "github.com/versity/versitygw/cmd/versitygw@" + Version

// Config says how the server is run. The zero value is a fresh, empty server.
type Config struct {
	Dir     string    // where its buckets lie; "": a temporary directory that Close removes
	Cache   string    // directory in which the program is kept; "": DefaultCache
	Address string    // 127.0.0.1:PORT; "": any free port. A server that is started again takes the one that it had
	Access  string    // access key; "": made up
	Secret  string    // secret key; "": made up
	Log     io.Writer // what the server prints; nil: kept, and told when it does not start

	// Links are folders of this machine shown as buckets, by the bucket's name. With any, nobody can write through the
	// server, and the folders stay as they are. Their objects have no ETag.
	Links map[string]string
}

// Region is the region that the server says it is in.
const Region = "us-east-1"

// Server is a running server.
type Server struct {
	URL            string // http://127.0.0.1:PORT
	Access, Secret string
	Dir            string
	PID            int

	temporary bool
	process   *os.Process
	done      chan struct{}
	ended     error // after done
	client    *s3.Client
}

// Address is where the server listens, for Config.Address.
func (s *Server) Address() string { return strings.TrimPrefix(s.URL, "http://") }

// Start fetches the program if need be (which takes a minute, once) and runs it. When Start returns the server answers.
// ctx bounds the start, not the server's life: Close ends it, and so does the end of this process.
func Start(ctx context.Context, c Config) (*Server, error) {
	bin, err := Fetch(ctx, c.Cache)
	if err != nil {
		return nil, err
	}
	s := &Server{Access: c.Access, Secret: c.Secret, Dir: c.Dir}
	if s.Access == "" {
		s.Access = rand.Text()
	}
	if s.Secret == "" {
		s.Secret = rand.Text()
	}
	if s.Dir == "" {
		if s.Dir, err = os.MkdirTemp("", "tutti-s3-"); err != nil {
			return nil, err
		}
		s.temporary = true
	}
	// The server cannot be told to choose a port. Between our choosing one and its binding it, somebody else may take
	// it: then the server ends, and another port is tried.
	const tries = 5
	for try := 1; ; try++ {
		err = s.start(ctx, bin, c)
		if err == nil {
			return s, nil
		}
		if c.Address != "" || try == tries || ctx.Err() != nil {
			return nil, errors.Join(err, s.clean())
		}
	}
}

func (s *Server) start(ctx context.Context, bin string, c Config) error {
	addr := c.Address
	if addr == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addr = l.Addr().String()
		if err := l.Close(); err != nil {
			return err
		}
	}
	// The metadata lies beside the buckets rather than in extended attributes, which not every file system has.
	buckets, meta := filepath.Join(s.Dir, "buckets"), filepath.Join(s.Dir, "meta")
	for _, d := range []string{buckets, meta} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	args := []string{"--port", addr, "--region", Region, "--keep-alive", "--quiet"}
	backend := []string{"posix", "--sidecar", meta}
	if len(c.Links) > 0 {
		args, backend = append(args, "--readonly"), append(backend, "--bucketlinks")
		if err := link(buckets, c.Links); err != nil {
			return err
		}
	}
	health := "/" + rand.Text() // nobody else answers there
	said := &tail{}
	args = append(append(append(args, "--health", health), backend...), buckets)
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+s.Access, "ROOT_SECRET_ACCESS_KEY="+s.Secret) // not among the arguments, which everybody can read
	cmd.Stdout, cmd.Stderr = said, said
	if c.Log != nil {
		w := io.MultiWriter(c.Log, said)
		cmd.Stdout, cmd.Stderr = w, w
	}
	dieWithParent(cmd)
	started := make(chan error)
	s.done = make(chan struct{})
	go func() {
		// The kernel ends the child when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG), so the thread stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.ended = cmd.Wait()
			close(s.done)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.process, s.PID, s.URL = cmd.Process, cmd.Process.Pid, "http://"+addr
	if err := s.ready(ctx, health); err != nil {
		return errors.Join(fmt.Errorf("%w; versitygw said: %s", err, said), s.stop())
	}
	s.client = s3.New(s3.Options{
		Region: Region, BaseEndpoint: aws.String(s.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.Access, s.Secret, ""),
	})
	return nil
}

// link shows folders as buckets.
func link(buckets string, links map[string]string) error {
	for bucket, dir := range links {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		at := filepath.Join(buckets, bucket)
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(dir, at); err != nil {
			return err
		}
	}
	return nil
}

// ready asks until the server answers under its health path.
func (s *Server) ready(ctx context.Context, health string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+health, nil)
		if err != nil {
			return err
		}
		if res, err := c.Do(req); err == nil {
			err := res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return err
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("versitygw ended: %w", s.ended)
		default:
		}
		if err := clock.Sleep(ctx, clock.System, 10*time.Millisecond); err != nil {
			return fmt.Errorf("versitygw does not answer: %w", err)
		}
	}
}

// Close ends the server and removes what was temporary.
func (s *Server) Close() error { return errors.Join(s.stop(), s.clean()) }

// Done is closed when the server has ended, however it came to.
func (s *Server) Done() <-chan struct{} { return s.done }

func (s *Server) stop() error {
	if err := s.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	return nil
}

func (s *Server) clean() error {
	if !s.temporary {
		return nil
	}
	return os.RemoveAll(s.Dir)
}

// Signal sends the server a signal: SIGSTOP and SIGCONT make a store that hangs.
func (s *Server) Signal(sig syscall.Signal) error { return s.process.Signal(sig) }

// Env is what the environment of a process must hold that is to use the server, as the AWS SDK reads it.
func (s *Server) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + s.Access, "AWS_SECRET_ACCESS_KEY=" + s.Secret, "AWS_REGION=" + Region, "AWS_EC2_METADATA_DISABLED=true"}
}

// Client speaks to the server as its owner.
func (s *Server) Client() *s3.Client { return s.client }

// MakeBucket makes a bucket. One that is there already is no error.
func (s *Server) MakeBucket(ctx context.Context, bucket string) error {
	_, err := s.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) && coded.ErrorCode() == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return err
}

// Put writes an object.
func (s *Server) Put(ctx context.Context, bucket, key string, data []byte) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)})
	return err
}

// Remove removes an object. One that is not there is no error.
func (s *Server) Remove(ctx context.Context, bucket, key string) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return err
}

// Upload puts every regular file of a directory, and of those below it, into a bucket under a prefix ("" or ending in
// a slash), a few at a time.
func (s *Server) Upload(ctx context.Context, bucket, prefix, dir string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		g.Go(func() error {
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			key := path.Join(prefix, filepath.ToSlash(rel))
			_, err = s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: f})
			return err
		})
		return ctx.Err()
	})
	return errors.Join(g.Wait(), err)
}

// DefaultCache is where fetched programs are kept: bin, which git ignores, of the Go module that the working directory
// is in, else the user's cache.
func DefaultCache() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "bin"), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "tutti"), err
}

// Fetch returns the path of the program in the cache directory ("": DefaultCache), building it there if it is not
// there yet. Of several processes that do so at once, one builds and the others wait.
func Fetch(ctx context.Context, cache string) (string, error) {
	if cache == "" {
		var err error
		if cache, err = DefaultCache(); err != nil {
			return "", err
		}
	}
	bin := filepath.Join(cache, "versitygw-"+Version)
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, bin+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(bin); err == nil { // another was first
		return bin, nil
	}
	tmp, err := os.MkdirTemp(cache, "versitygw-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	install := exec.CommandContext(ctx, "go", "install", program)
	install.Env = append(os.Environ(), "GOBIN="+tmp, "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s: %w\n%s", program, err, out)
	}
	return bin, os.Rename(filepath.Join(tmp, "versitygw"), bin)
}

// lock takes a lock that the kernel releases when this process ends.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(err, f.Close())
		}
		if err := clock.Sleep(ctx, clock.System, 50*time.Millisecond); err != nil {
			return nil, errors.Join(fmt.Errorf("another process is fetching versitygw: %w", err), f.Close())
		}
	}
}

// tail keeps the last that a program printed.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailLen = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailLen; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
