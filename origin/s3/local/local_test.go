package local_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"tutti/origin/s3/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestServer: a server keeps what it was given over a restart on the same address, is reachable from this machine only,
// and takes nobody's word but its own credentials'.
func TestServer(t *testing.T) {
	ctx := t.Context()
	c := local.Config{Dir: t.TempDir()}
	s, err := local.Start(ctx, c)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	must(t, s.MakeBucket(ctx, "music"))
	must(t, s.MakeBucket(ctx, "music"))
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	want := bytes.Repeat([]byte("sound"), 1000)
	must(t, os.WriteFile(filepath.Join(dir, "a/b/1.flac"), want, 0o644))
	must(t, s.Upload(ctx, "music", "all/", dir))
	loopbackOnly(t, s)

	must(t, s.Close())
	c.Address, c.Access, c.Secret = s.Address(), s.Access, s.Secret
	again, err := local.Start(ctx, c)
	must(t, err)
	t.Cleanup(func() { again.Close() })
	if again.URL != s.URL {
		t.Errorf("started again at %s, which was %s", again.URL, s.URL)
	}
	bucket, key := "music", "all/a/b/1.flac"
	out, err := again.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	must(t, err)
	got, err := io.ReadAll(out.Body)
	must(t, err)
	must(t, out.Body.Close())
	if !bytes.Equal(got, want) {
		t.Errorf("after a restart the object has %d bytes that are not those that were put", len(got))
	}

	c.Address, c.Access, c.Secret, c.Dir = "", "", "", ""
	other, err := local.Start(ctx, c)
	must(t, err)
	t.Cleanup(func() { other.Close() })
	if other.Access == s.Access || other.Secret == s.Secret || other.PID == again.PID {
		t.Error("two servers share credentials")
	}
	if _, err := os.Stat(other.Dir); err != nil {
		t.Error(err)
	}
	must(t, other.Close())
	if _, err := os.Stat(other.Dir); err == nil {
		t.Error("Close leaves the temporary directory")
	}
}

// loopbackOnly looks at the sockets of this network namespace: one that listens on the server's port must be bound to
// 127.0.0.1.
func loopbackOnly(t *testing.T, s *local.Server) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Address())
	must(t, err)
	n, err := strconv.Atoi(port)
	must(t, err)
	found := false
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		}
		must(t, err)
		for _, line := range strings.Split(string(text), "\n") {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != "0A" { // TCP_LISTEN
				continue
			}
			addr, hex, _ := strings.Cut(f[1], ":")
			if p, err := strconv.ParseInt(hex, 16, 32); err != nil || int(p) != n {
				continue
			}
			found = true
			if addr != "0100007F" {
				t.Errorf("%s: it listens at %s, not on 127.0.0.1 only", file, addr)
			}
		}
	}
	if !found {
		t.Errorf("nothing listens on port %d", n)
	}
}

// TestLinks: a folder is shown as a bucket, can be read, and is left alone.
func TestLinks(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "1.flac"), []byte("sound"), 0o644))
	s, err := local.Start(ctx, local.Config{Dir: t.TempDir(), Links: map[string]string{"music": dir}})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	bucket, key := "music", "1.flac"
	out, err := s.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	must(t, err)
	got, err := io.ReadAll(out.Body)
	must(t, err)
	must(t, out.Body.Close())
	if string(got) != "sound" {
		t.Errorf("the object is %q", got)
	}
	if err := s.Put(ctx, bucket, "2.flac", got); err == nil {
		t.Error("an object was put into the folder")
	}
	if _, err := s.Client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err == nil {
		t.Error("a file of the folder was removed")
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != key {
		t.Errorf("the folder has %v", entries)
	}
}
