package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tutti/web"
)

type doctorCmd struct{}

// finding is what one check found: a severity, what was looked at, and what to do where it is not well.
type finding struct {
	severity severity
	what     string
	advice   string
}

type severity int

const (
	fine severity = iota
	notice
	broken
)

var severityNames = [...]string{"ok", "note", "FAIL"}

func well(format string, args ...any) finding { return finding{fine, fmt.Sprintf(format, args...), ""} }

// examiner is one check. Each looks at one thing and changes nothing.
type examiner func(ctx context.Context, s *settings) []finding

var examinations = []examiner{
	examineData, examineDatabase, examineFleet, examineMusic, examinePrograms, examineAddress, examineTLS, examineLimits, examinePage,
}

// Run makes every check and prints what it found; it fails if something is broken.
func (doctorCmd) Run(ctx context.Context, s *settings, std *streams, _ *slog.Logger) error {
	failures := 0
	for _, examine := range examinations {
		for _, f := range examine(ctx, s) {
			fmt.Fprintf(std.out, "%-5s %s\n", severityNames[f.severity], f.what)
			if f.advice != "" {
				fmt.Fprintf(std.out, "      → %s\n", f.advice)
			}
			if f.severity == broken {
				failures++
			}
		}
	}
	if failures > 0 {
		return fmt.Errorf("%s to mend", plural(int64(failures), "thing", "things"))
	}
	return nil
}

func examineData(_ context.Context, s *settings) []finding {
	info, err := os.Stat(s.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []finding{{notice, "the data folder " + s.Data + " does not exist yet", "the first start makes it; --data names another"}}
	case err != nil:
		return []finding{{broken, "the data folder cannot be looked at: " + err.Error(), "give this user the right to it, or name another with --data"}}
	case !info.IsDir():
		return []finding{{broken, s.Data + " is not a folder", "name a folder with --data"}}
	}
	var out []finding
	if info.Mode().Perm()&0o077 != 0 {
		out = append(out, finding{broken, fmt.Sprintf("the data folder is open to others (mode %o)", info.Mode().Perm()), "chmod 700 " + s.Data})
	}
	probe, err := os.CreateTemp(s.Data, ".doctor-*")
	if err != nil {
		return append(out, finding{broken, "the data folder cannot be written: " + err.Error(), "run as its owner, or chown it"})
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return append(out, finding{broken, "the data folder does not let go of a file: " + err.Error(), "check the disk"})
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.Data, &disk); err == nil {
		free := int64(disk.Bavail) * disk.Bsize
		if free < 1<<30 {
			out = append(out, finding{notice, fmt.Sprintf("only %d MiB are free in the data folder", free>>20), "free some space, or lower cache: size"})
		}
	}
	return append(out, well("data folder %s", s.Data))
}

func examineDatabase(ctx context.Context, s *settings) []finding {
	if !s.Store.sqlite() {
		return examineStore(ctx, s)
	}
	path := databasePath(s.Data)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // a new installation; examineData has said so
	}
	if err := checkDatabase(ctx, path); err != nil {
		return []finding{{broken, "the database: " + explain(err), "restore the latest backup: tutti restore FILE"}}
	}
	out := []finding{well("database %s is sound", path)}
	return append(out, examineSecret(s)...)
}

// examineSecret looks at the key of what accounts have to keep readable.
func examineSecret(s *settings) []finding {
	key := s.secretFile()
	info, err := os.Stat(key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []finding{{broken, key + " is missing, so apps that sign in with a token cannot", "restore it from a backup, or copy it from another process of the fleet; else let every user set their password again"}}
	case err != nil:
		return []finding{{broken, err.Error(), "give this user the right to read it"}}
	case info.Mode().Perm()&0o027 != 0: // its group may read it: that of a service that does not own it
		return []finding{{broken, "others may read or change " + key, "chmod 640 " + key}}
	}
	return []finding{well("key file %s", key)}
}

func examineMusic(ctx context.Context, s *settings) []finding {
	if len(s.Music) == 0 {
		return []finding{{notice, "no music folder is configured", "name one with --music DIR, TUTTI_MUSIC or music: in tutti.yml"}}
	}
	var out []finding
	for _, m := range s.Music {
		if m.S3 != nil {
			out = append(out, examineBucket(ctx, m))
			continue
		}
		entries, err := os.ReadDir(m.Path)
		switch {
		case err != nil:
			out = append(out, finding{broken, fmt.Sprintf("music folder %q: %v", m.Name, err), "is the drive mounted, and may this user read it?"})
		case len(entries) == 0:
			out = append(out, finding{notice, fmt.Sprintf("music folder %q (%s) is empty", m.Name, m.Path), "is the drive mounted? Nothing is deleted meanwhile"})
		default:
			out = append(out, well("music folder %q (%s)", m.Name, m.Path))
		}
	}
	return out
}

// examinePrograms looks for ffmpeg with the encoders that transcodes need, and for ffprobe.
func examinePrograms(ctx context.Context, s *settings) []finding {
	install := "apt-get install ffmpeg, or name it with --transcode-ffmpeg"
	b, err := output(ctx, s.Transcode.FFmpeg, "-hide_banner", "-encoders")
	if err != nil {
		return []finding{{notice, "no ffmpeg: originals play, but nothing can be transcoded (" + err.Error() + ")", install}}
	}
	var out []finding
	var missing []string
	for _, encoder := range []string{"libmp3lame", "libopus", "aac", "flac"} {
		if !bytes.Contains(b, []byte(" "+encoder+" ")) {
			missing = append(missing, encoder)
		}
	}
	if len(missing) > 0 {
		out = append(out, finding{notice, "this ffmpeg lacks the encoders " + strings.Join(missing, ", "), "install a full build: " + install})
	} else {
		out = append(out, well("ffmpeg can make mp3, opus, aac and flac"))
	}
	if _, err := output(ctx, s.Transcode.FFprobe, "-version"); err != nil {
		out = append(out, finding{notice, "no ffprobe: rare formats will have no tags (" + err.Error() + ")", "it comes with ffmpeg; or name it with --transcode-ffprobe"})
	}
	return out
}

func output(ctx context.Context, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, program, args...).Output()
}

// examineAddress sees whether the addresses are free, or taken by this server itself.
func examineAddress(ctx context.Context, s *settings) []finding {
	var out []finding
	for _, address := range s.Listen {
		if strings.HasPrefix(address, "unix:") {
			continue
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			out = append(out, finding{broken, fmt.Sprintf("listen %q is no HOST:PORT", address), "write for example 127.0.0.1:4533"})
			continue
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && s.HTTP.TLSCert == "" {
			out = append(out, finding{notice, "others can reach " + address + " without encryption", "put a proxy with https in front, or set http: tls-cert and tls-key"})
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		switch {
		case err == nil && l.Close() == nil:
			out = append(out, well("address %s is free", address))
		case errors.Is(err, syscall.EADDRINUSE) && answering(ctx, address):
			out = append(out, well("a server answers at %s", address))
		default:
			out = append(out, finding{broken, fmt.Sprintf("cannot listen on %s: %v", address, err), "is another program there? --listen names another address"})
		}
	}
	return out
}

// answering reports whether a healthy server is behind an address. One that speaks TLS answers plain HTTP with 400.
func answering(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusBadRequest)
}

func examineTLS(_ context.Context, s *settings) []finding {
	if s.HTTP.TLSCert == "" && s.HTTP.TLSKey == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(s.HTTP.TLSCert, s.HTTP.TLSKey)
	if err != nil {
		return []finding{{broken, "the certificate: " + err.Error(), "tls-cert and tls-key must be PEM files that belong together"}}
	}
	return []finding{well("certificate for %s, until %s", strings.Join(pair.Leaf.DNSNames, ", "), pair.Leaf.NotAfter.Format("2006-01-02"))}
}

// examineLimits compares what the system allows with what the library needs.
func examineLimits(_ context.Context, s *settings) []finding {
	var out []finding
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Max < 4096 {
		out = append(out, finding{notice, fmt.Sprintf("only %d open files are allowed: a few hundred listeners", files.Max), "LimitNOFILE=65536 in the systemd unit, or ulimit -n"})
	}
	if !s.Scan.Watch {
		return out
	}
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	if err != nil {
		return out // not Linux, or no proc
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return out
	}
	folders := 0
	for _, m := range s.Music {
		if m.S3 != nil {
			continue
		}
		_ = filepath.WalkDir(m.Path, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				folders++
			}
			return nil // what cannot be read is examineMusic's to report
		})
	}
	if folders > limit*9/10 {
		out = append(out, finding{
			notice, fmt.Sprintf("%d folders to watch, and the system allows %d watches", folders, limit),
			fmt.Sprintf("echo fs.inotify.max_user_watches=%d > /etc/sysctl.d/60-tutti.conf && sysctl --system", max(524288, folders*2)),
		})
	} else if folders > 0 {
		out = append(out, well("%s to watch, %d allowed", plural(int64(folders), "folder", "folders"), limit))
	}
	return out
}

func examinePage(context.Context, *settings) []finding {
	if _, err := fs.Stat(web.Files(), "index.html"); err != nil {
		return []finding{{notice, "this binary holds no page; apps work without it", "build it with: make build"}}
	}
	return nil
}
