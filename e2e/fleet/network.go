package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Namespaces, for a fleet whose processes each have a network of their own, so that a partition is a real one: frames
// that go nowhere, and no reset to say so. The whole lies in a namespace of this process (see Isolated), so nothing of
// it can be reached from the machine or outside of it.
//
//	this process, nginx, DynamoDB, S3 ── bridge ──┬── veth ── delivery-1
//	                                              ├── veth ── catalog-1
//	                                              └── veth ── trackcache-1 …

// bridge is the switch between the namespaces.
const bridge = "fleet0"

// hub is this process's address on the bridge. The network is one that RFC 2544 keeps for benchmarks.
var hub = netip.MustParsePrefix("198.18.0.1/24")

// isolatedVariable tells a process that it is the one in the namespace.
const isolatedVariable = "TUTTI_FLEET_ISOLATED"

// Isolated reports whether this process was started by Isolate.
func Isolated() bool { return os.Getenv(isolatedVariable) != "" }

// Isolate runs this program again with args, in a network and a mount namespace of its own and with the rights that are
// needed there, and returns when it has ended. Who is not root gets them through a user namespace, where the kernel
// allows that.
func Isolate(args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), isolatedVariable+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		const netAdmin, sysAdmin = 12, 21 // CAP_NET_ADMIN and CAP_SYS_ADMIN, capability.h
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		attr.AmbientCaps = []uintptr{netAdmin, sysAdmin}
	}
	cmd.SysProcAttr = attr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in a namespace: %w", err)
	}
	return nil
}

// network hands out links on the bridge.
type network struct {
	mu   sync.Mutex
	last netip.Addr
}

// newNetwork makes the bridge in this process's namespace.
func newNetwork(ctx context.Context) (*network, error) {
	if !Isolated() {
		return nil, errors.New("a fleet in namespaces needs a process in one: see Isolate")
	}
	for _, line := range []string{
		"link set lo up",
		"link add " + bridge + " type bridge forward_delay 0",
		"addr add " + hub.String() + " dev " + bridge,
		"link set " + bridge + " up",
	} {
		if err := ip(ctx, 0, line); err != nil {
			return nil, err
		}
	}
	// Sockets hold little, so that the kernel does not go on playing for whoever has died: with its usual 4 MiB, half a
	// minute of music can be under way to a listener.
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_wmem", []byte("4096 16384 262144"), 0); err != nil {
		return nil, err
	}
	return &network{last: hub.Addr()}, nil
}

func (n *network) close(ctx context.Context) error { return ip(ctx, 0, "link del "+bridge) }

// link returns the way of one more process.
func (n *network) link() *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = n.last.Next()
	return &link{addr: n.last, name: "veth" + strconv.Itoa(int(n.last.As4()[3]))}
}

// link is one process's way to the others.
type link struct {
	addr netip.Addr
	name string // of this side's end
	made bool
}

// start runs the command in a namespace with an end of the link.
func (l *link) start(ctx context.Context, cmd *exec.Cmd) error {
	in, gate, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	defer gate.Close()
	// The shell waits until there is a network, and then becomes the program.
	cmd.Args = append([]string{"/bin/sh", "-c", `read -r go && exec "$0" "$@"`}, append([]string{cmd.Path}, cmd.Args[1:]...)...)
	cmd.Path, cmd.Stdin = "/bin/sh", in
	cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNET
	if err := cmd.Start(); err != nil {
		return err
	}
	if err = l.attach(ctx, cmd.Process.Pid); err == nil {
		_, err = gate.WriteString("go\n")
	}
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return nil
}

// attach gives the namespace of a process its end of the link.
func (l *link) attach(ctx context.Context, pid int) error {
	if l.made {
		// The link of the run before goes with its namespace, which the kernel takes down when it comes to it.
		if err := ip(ctx, 0, "link del "+l.name); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
			return err
		}
	}
	l.made = true
	inside := strconv.Itoa(pid)
	// The same address on the wire every time: others have it in their ARP tables.
	mac := fmt.Sprintf("02:00:00:00:00:%02x", l.addr.As4()[3])
	for _, step := range []struct {
		pid  int
		line string
	}{
		{0, "link add " + l.name + " type veth peer name eth0 address " + mac + " netns " + inside},
		{0, "link set " + l.name + " master " + bridge + " up"},
		{pid, "addr add " + netip.PrefixFrom(l.addr, hub.Bits()).String() + " dev eth0"},
		{pid, "link set eth0 up"},
		{pid, "link set lo up"},
	} {
		if err := ip(ctx, step.pid, step.line); err != nil {
			return err
		}
	}
	return nil
}

// cut takes the process off the network, or back to it.
func (l *link) cut(ctx context.Context, off bool) error {
	state := "up"
	if off {
		state = "down"
	}
	return ip(ctx, 0, "link set "+l.name+" "+state)
}

// ip runs the program of that name, in the namespace of a process where pid is not 0.
func ip(ctx context.Context, pid int, line string) error {
	words := append([]string{"ip"}, strings.Fields(line)...)
	if pid != 0 {
		words = append([]string{"nsenter", "--net=/proc/" + strconv.Itoa(pid) + "/ns/net"}, words...)
	}
	if b, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(string(b)))
	}
	return nil
}
