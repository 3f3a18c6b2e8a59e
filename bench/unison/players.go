package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// channels are those of the one sound card that everybody plays to: a pair each.
const (
	channels = 8
	pairs    = channels / 2
)

// patience is how long a program may take to begin.
const patience = 30 * time.Second

// processes are programs that run beside the measurement, and end with it.
type processes struct {
	realtime bool
	list     []*process
}

type process struct {
	name string
	cmd  *exec.Cmd
	said *said
	done chan error
}

// said is what a program has printed.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a program with more environment; player is for those that have to make sound in time.
func (ps *processes) start(player bool, env []string, out io.Writer, name string, args ...string) (*process, error) {
	program := name
	if player && ps.realtime {
		args = append([]string{"--rr", "5", name}, args...)
		name = "chrt"
	}
	p := &process{name: filepath.Base(program), cmd: exec.Command(name, args...), said: &said{}, done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	if out != nil {
		p.cmd.Stdout = out
	}
	// Browsers and sound servers have children of their own; a group of its own ends as one.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.done <- p.cmd.Wait() }()
	ps.list = append(ps.list, p)
	return p, nil
}

// tail is the end of what each program has printed, and whether it still runs.
func (ps *processes) tail() string {
	const most = 1_000
	var b strings.Builder
	for _, p := range ps.list {
		state := "runs"
		if len(p.done) > 0 {
			state = "has ended"
		}
		text := p.said.String()
		fmt.Fprintf(&b, "%s %s:\n%s\n", p.name, state, text[max(0, len(text)-most):])
	}
	return b.String()
}

// stop ends all, the last first.
func (ps *processes) stop() {
	for i := len(ps.list) - 1; i >= 0; i-- {
		p := ps.list[i]
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
			<-p.done
		}
	}
	ps.list = nil
}

// until waits for what a program begins with.
func until(ctx context.Context, what string, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
	return nil
}

// soundcard is a PulseAudio server of its own with one card of eight channels that goes nowhere, on which four players have
// a stereo pair each: one crystal for all, so that what is between them is their own doing.
type soundcard struct {
	env []string
}

func startSoundcard(ctx context.Context, ps *processes, dir string) (*soundcard, error) {
	home := filepath.Join(dir, "pulse")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	socket := filepath.Join(home, "native")
	env := []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "XDG_CONFIG_HOME=" + home, "PULSE_RUNTIME_PATH=" + home, "PULSE_STATE_PATH=" + home}
	args := []string{
		"-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes", "--log-target=stderr",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket=" + socket,
		"-L", fmt.Sprintf("module-null-sink sink_name=unison format=float32le rate=%d channels=%d channel_map=aux0,aux1,aux2,aux3,aux4,aux5,aux6,aux7", rate, channels),
	}
	for i := range pairs {
		args = append(args, "-L", fmt.Sprintf("module-remap-sink sink_name=pair%d master=unison channels=2 channel_map=front-left,front-right master_channel_map=aux%d,aux%d remix=no", i, 2*i, 2*i+1))
	}
	p, err := ps.start(true, env, nil, "pulseaudio", args...)
	if err != nil {
		return nil, err
	}
	card := &soundcard{env: append(env, "PULSE_SERVER=unix:"+socket)}
	err = until(ctx, "PulseAudio", func() bool {
		cmd := exec.CommandContext(ctx, "pactl", "list", "short", "sinks")
		cmd.Env = append(os.Environ(), card.env...)
		out, err := cmd.Output()
		return err == nil && bytes.Count(out, []byte("pair")) >= pairs
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, p.said)
	}
	return card, nil
}

// pair is the environment of a player that is to be heard on a pair of channels.
func (c *soundcard) pair(n int) []string {
	return append([]string{"PULSE_SINK=pair" + strconv.Itoa(n)}, c.env...)
}

// record returns all channels, of a length of time from now on.
func (c *soundcard) record(ctx context.Context, ps *processes, length time.Duration, dir string) ([][]float32, error) {
	file, err := os.Create(filepath.Join(dir, "recording.f32"))
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	recorder := &processes{realtime: ps.realtime}
	defer recorder.stop()
	p, err := recorder.start(true, c.env, file, "parec", "--device=unison.monitor", "--format=float32le", "--rate="+strconv.Itoa(rate), "--channels="+strconv.Itoa(channels),
		"--channel-map=aux0,aux1,aux2,aux3,aux4,aux5,aux6,aux7", "--latency-msec=200", "--raw")
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case err := <-p.done:
		p.done <- err
		return nil, fmt.Errorf("the recorder ended: %s", p.said)
	case <-time.After(length):
	}
	recorder.stop()
	raw, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, err
	}
	const frame = 4 * channels
	out := make([][]float32, channels)
	for at := 0; at+frame <= len(raw); at += frame {
		for ch := range out {
			out[ch] = append(out[ch], math.Float32frombits(binary.LittleEndian.Uint32(raw[at+4*ch:])))
		}
	}
	return out, nil
}

// music is what is played: noise, which is like itself at no other time. It is the same on both channels.
func music(length time.Duration, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	samples := make([]byte, 0, int(length.Seconds()*rate)*4)
	for range int(length.Seconds() * rate) {
		v := uint16(int16(rng.NormFloat64() * 3000))
		samples = append(samples, byte(v), byte(v>>8), byte(v), byte(v>>8))
	}
	return samples
}

// wave is samples as a file.
func wave(samples []byte) []byte {
	h := []byte("RIFF")
	h = binary.LittleEndian.AppendUint32(h, uint32(36+len(samples)))
	h = append(h, "WAVEfmt "...)
	h = binary.LittleEndian.AppendUint32(h, 16)
	h = binary.LittleEndian.AppendUint16(h, 1)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint32(h, rate)
	h = binary.LittleEndian.AppendUint32(h, rate*4)
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = binary.LittleEndian.AppendUint16(h, 16)
	h = append(h, "data"...)
	h = binary.LittleEndian.AppendUint32(h, uint32(len(samples)))
	return append(h, samples...)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// startSnapserver runs Debian's own server of Snapcast, which plays noise without end, and returns its port.
func startSnapserver(ctx context.Context, ps *processes, dir string) (string, error) {
	own := filepath.Join(dir, "snapserver")
	if err := os.MkdirAll(own, 0o700); err != nil {
		return "", err
	}
	fifo := filepath.Join(own, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	conf := filepath.Join(own, "snapserver.conf")
	// Flac and blocks of 20 ms are what its package sets out with, and what tutti's clients get.
	text := fmt.Sprintf("[server]\ndatadir = %s\n[http]\nenabled = false\n[tcp]\nenabled = false\n[stream]\nbind_to_address = 127.0.0.1\nport = %s\nsource = pipe://%s?name=unison&mode=read&sampleformat=48000:16:2&codec=flac\n", own, port, fifo)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", err
	}
	p, err := ps.start(true, []string{"HOME=" + own}, nil, "snapserver", "--config", conf)
	if err != nil {
		return "", err
	}
	err = until(ctx, "snapserver", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, p.said)
	}
	noise := music(10*time.Second, 2)
	go func() {
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer f.Close()
		for ctx.Err() == nil { // it ends with its reader
			if _, err := f.Write(noise); err != nil {
				return
			}
		}
	}()
	return port, nil
}

// startSnapclient lets an unmodified client play on a pair.
func startSnapclient(ps *processes, card *soundcard, pair int, port string) error {
	_, err := ps.start(true, card.pair(pair), nil, "snapclient", "--host", "127.0.0.1", "--port", port, "--hostID", "pair"+strconv.Itoa(pair), "--player", "pulse", "--logsink", "stdout")
	return err
}

// need complains about what is missing before anything is begun.
func need(programs ...string) error {
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not installed: %s; on Debian: apt install pulseaudio pulseaudio-utils snapclient snapserver chromium", strings.Join(missing, ", "))
	}
	return nil
}
