// Package fleet runs a whole fleet on one machine, with the real parts: DynamoDB Local, an S3 server, any number of
// delivery, catalogue and track cache processes, and nginx before them. End-to-end tests, benchmarks and `make cluster`
// start it as a library.
//
//	f, err := fleet.Start(ctx, fleet.Config{Bin: "bin/tutti", Dir: dir, Music: music})
//	…
//	err = f.Stop(ctx)
//
// Every process listens on loopback, or in a network namespace of its own (see Isolate), and ends with the process that
// started the fleet, whichever way that ends. Proxies can stand between the fleet and what it needs, to make trouble;
// Load plays music as a crowd of listeners does, and compares every byte; Writers change things and remember what was
// acknowledged.
package fleet

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"tutti"
	"tutti/origin/s3/local"
	"tutti/peer"
	table "tutti/store/dynamo/local"
)

// The roles of the parts, as cluster.json names them. The services are named as --role names them.
const (
	RoleNginx      = "nginx"
	RoleDynamoDB   = "dynamodb"
	RoleS3         = "s3"
	RoleDelivery   = string(tutti.ServiceDelivery)
	RoleCatalog    = string(tutti.ServiceCatalog)
	RoleTrackCache = string(tutti.ServiceTrackCache)
)

// Config says what a fleet is made of. Bin and Dir have no default.
type Config struct {
	Bin string // the tutti program
	Dir string // for data, logs and keys; made if need be

	Music  string // the folder that the object store serves; "": none
	Upload bool   // put the music into the store, so that its objects have ETags; else the folder is shown as it is

	Delivery, Catalog, TrackCache int // how many of each; 0 is 2, 2 and 3

	Port     int    // of the page's address; 0: a free one
	User     string // the first admin; "": admin
	Password string // "": one is made up, see Fleet.Password

	Engine Engine // what stands in for DynamoDB; "": DynamoDBLocal
	Memory bool   // keep the table in memory only

	// Proxies puts a Proxy between the fleet and the table, and between the fleet and the object store.
	Proxies bool
	// TLS makes the processes speak TLS to one another, with certificates of an authority of the fleet's own.
	TLS bool
	// Isolated gives each service's process a network namespace of its own; see Isolate.
	Isolated bool
	// Disk, where not 0, bounds the data folder of each track cache to so many bytes. It needs Isolated.
	Disk int64

	Args     map[string][]string // more arguments, by role; "" is for all services
	Env      []string            // more environment, for all processes
	Progress func(string)        // told of each step; nil: nobody is
}

// Fleet is a running fleet.
type Fleet struct {
	URL      string // of the page, without a slash at the end
	Password string // of Config.User
	Store    *Proxy // nil without Config.Proxies
	Origin   *Proxy // likewise

	config                Config
	network               *network
	inside                *http.Client  // how the services are asked, past nginx
	parts                 sync.Mutex    // guards the next two while they are replaced
	engine                *table.Server // nil where a catalogue process keeps the state
	objects               *local.Server
	engineLog, objectsLog io.Writer
	members               []*Process // the services, in the order in which they were started
	nginx                 *Process
	file                  sync.Mutex                    // one writes cluster.json at a time
	ports                 []int                         // that were given out
	undo                  []func(context.Context) error // what Stop does, the last first
}

// bucket is where the music lies.
const bucket = "music"

// Start brings a fleet up, each part when those that it needs answer. When it returns, the fleet's address serves.
// On failure everything is taken down again.
func Start(ctx context.Context, c Config) (_ *Fleet, err error) {
	if c.Bin, err = filepath.Abs(c.Bin); err != nil {
		return nil, err
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return nil, err
	}
	c.Delivery, c.Catalog, c.TrackCache = cmp.Or(c.Delivery, 2), cmp.Or(c.Catalog, 2), cmp.Or(c.TrackCache, 3)
	c.User, c.Engine = cmp.Or(c.User, "admin"), cmp.Or(c.Engine, DynamoDBLocal)
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	f := &Fleet{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := f.ground(ctx); err != nil {
		return nil, err
	}
	if err := f.services(ctx); err != nil {
		return nil, err
	}
	if err := f.front(ctx); err != nil {
		return nil, err
	}
	return f, f.WriteTable()
}

func (f *Fleet) path(parts ...string) string {
	return filepath.Join(append([]string{f.config.Dir}, parts...)...)
}

// host is where this process and what it started in its own namespace are reached by the services.
func (f *Fleet) host() string {
	if f.network != nil {
		return hub.Addr().String()
	}
	return "127.0.0.1"
}

// later adds to what Stop does.
func (f *Fleet) later(fn func(context.Context) error) { f.undo = append(f.undo, fn) }

// ground starts what the services stand on: the table and the objects.
func (f *Fleet) ground(ctx context.Context) (err error) {
	if err := os.MkdirAll(f.path("log"), 0o700); err != nil {
		return err
	}
	if err := f.secrets(); err != nil {
		return err
	}
	f.inside = http.DefaultClient
	if f.config.TLS {
		if f.inside, err = f.authority(); err != nil {
			return err
		}
		f.later(func(context.Context) error { f.inside.CloseIdleConnections(); return nil })
	}
	if f.config.Isolated {
		if f.network, err = newNetwork(ctx); err != nil {
			return err
		}
		f.later(f.network.close)
	}
	f.config.Progress("starting the object store and " + string(f.config.Engine))
	if f.engineLog, err = f.openLog(RoleDynamoDB); err != nil {
		return err
	}
	if f.objectsLog, err = f.openLog(RoleS3); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.startEngine(gctx) })
	g.Go(func() error {
		if err := f.startObjects(gctx); err != nil {
			return err
		}
		return f.fillObjects(gctx)
	})
	err = g.Wait()
	if f.engine != nil {
		f.later(func(context.Context) error { f.engine.Stop(); return nil })
	}
	if f.objects != nil {
		f.later(func(context.Context) error { return f.objects.Close() })
	}
	if err != nil {
		return err
	}
	if f.config.Proxies || f.config.Isolated { // namespaces do not reach this one's loopback
		if f.engine != nil {
			if f.Store, err = f.proxy(f.engine.URL); err != nil {
				return err
			}
			f.Store.Refuse = refuseDynamoDB
		}
		if f.Origin, err = f.proxy(f.objects.URL); err != nil {
			return err
		}
		f.Origin.Refuse = refuseS3
	}
	if f.engine == nil {
		return nil
	}
	f.config.Progress("making the table")
	_, err = f.Command(ctx, "store", "init", "--store", f.StoreAddress())
	return err
}

func (f *Fleet) proxy(target string) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	p, err := NewProxy(f.host()+":0", u, slog.New(slog.DiscardHandler))
	if err == nil {
		f.later(func(context.Context) error { return p.Close() })
	}
	return p, err
}

// secrets makes what the processes share, the first time, and the first admin's password, which stays the same as long
// as the data does.
func (f *Fleet) secrets() error {
	for name, text := range map[string]string{
		"fleet.keys": "k1:" + newSecret(), "secret.key": newSecret(), "admin.password": cmp.Or(f.config.Password, rand.Text()),
		"s3.access": rand.Text(), "s3.secret": rand.Text(), // buckets belong to who made them
	} {
		file, err := os.OpenFile(f.path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(file, text)
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	var err error
	f.Password, err = f.secret("admin.password")
	return err
}

// secret reads one of them.
func (f *Fleet) secret(name string) (string, error) {
	b, err := os.ReadFile(f.path(name))
	return strings.TrimSpace(string(b)), err
}

func newSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it cannot fail
	return hex.EncodeToString(b)
}

// openLog opens the log of a part that is started by another package, until the fleet is stopped.
func (f *Fleet) openLog(name string) (io.Writer, error) {
	log, err := os.OpenFile(f.path("log", name+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		f.later(func(context.Context) error { return log.Close() })
	}
	return log, err
}

// startObjects starts the object store, the first time or again at its address.
func (f *Fleet) startObjects(ctx context.Context) (err error) {
	c := local.Config{Dir: f.path("s3"), Log: f.objectsLog}
	if f.objects != nil {
		c.Address = f.objects.Address()
	}
	if c.Access, err = f.secret("s3.access"); err != nil {
		return err
	}
	if c.Secret, err = f.secret("s3.secret"); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	if !f.config.Upload && f.config.Music != "" {
		c.Links = map[string]string{bucket: f.config.Music}
	}
	s, err := local.Start(ctx, c)
	if err != nil {
		return err
	}
	f.parts.Lock()
	defer f.parts.Unlock()
	f.objects = s
	return nil
}

// fillObjects puts the music into the object store, where it is not shown as it lies.
func (f *Fleet) fillObjects(ctx context.Context) error {
	if !f.config.Upload && f.config.Music != "" {
		return nil
	}
	if err := f.objects.MakeBucket(ctx, bucket); err != nil {
		return err
	}
	if f.config.Music == "" {
		return nil
	}
	return f.objects.Upload(ctx, bucket, "", f.config.Music)
}

// StoreAddress is the --store value of the fleet's processes.
func (f *Fleet) StoreAddress() string {
	if f.engine == nil {
		return f.address(f.Role(RoleCatalog)[0])
	}
	endpoint := f.engine.URL
	if f.Store != nil {
		endpoint = f.Store.URL()
	}
	return "dynamodb://tutti?" + url.Values{"endpoint": {endpoint}, "region": {local.Region}}.Encode()
}

// MusicAddress is the --music value of the fleet's processes.
func (f *Fleet) MusicAddress() string {
	endpoint := f.objects.URL
	if f.Origin != nil {
		endpoint = f.Origin.URL()
	}
	return "Music=s3://" + bucket + "?" + url.Values{"endpoint": {endpoint}, "region": {local.Region}, "path-style": {"true"}}.Encode()
}

// KeyFile is the file with the keys that the members share.
func (f *Fleet) KeyFile() string { return f.path("fleet.keys") }

func (f *Fleet) env() []string {
	env := append(os.Environ(), f.objects.Env()...)
	env = append(env, "TUTTI_ANALYSE_ENABLED=false", "TUTTI_ADMIN_USER="+f.config.User, "TUTTI_ADMIN_PASSWORD="+f.Password)
	return append(env, f.config.Env...)
}

// Command runs the program once beside the fleet, with its table and its music, as an admin does at a shell, and returns what
// it printed. Data is a folder of its own.
func (f *Fleet) Command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, f.config.Bin, append(args, "--data", f.path("admin"))...)
	cmd.Env = f.env()
	b, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("tutti %s: %w: %s", strings.Join(args, " "), err, b)
	}
	return string(b), err
}

// services starts the members. The first delivery process makes the first admin, so it comes before its siblings.
func (f *Fleet) services(ctx context.Context) error {
	first := 0
	if f.engine == nil { // all the others need the one that keeps the state
		if err := f.start(ctx, RoleCatalog, 1); err != nil {
			return err
		}
		first = 1
	}
	if err := f.start(ctx, RoleCatalog, f.config.Catalog-first, RoleTrackCache, f.config.TrackCache); err != nil {
		return err
	}
	if err := f.start(ctx, RoleDelivery, 1); err != nil {
		return err
	}
	return f.start(ctx, RoleDelivery, f.config.Delivery-1)
}

// start adds members of a role, or of several, and returns when all are ready.
func (f *Fleet) start(ctx context.Context, roles ...any) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := 0; i < len(roles); i += 2 {
		role, n := roles[i].(string), roles[i+1].(int)
		for range n {
			p, err := f.member(role)
			if err != nil {
				return errors.Join(err, g.Wait())
			}
			g.Go(func() error { return p.Start(ctx) })
		}
	}
	return g.Wait()
}

// Add starts one more member of a role, and returns when it is ready.
func (f *Fleet) Add(ctx context.Context, role string) (*Process, error) {
	p, err := f.member(role)
	if err != nil {
		return nil, err
	}
	return p, p.Start(ctx)
}

// member makes a service's process without starting it.
func (f *Fleet) member(role string) (*Process, error) {
	name := role + "-" + strconv.Itoa(len(f.Role(role))+1)
	f.config.Progress("starting " + name)
	p := &Process{Name: name, Role: role, Log: f.path("log", name+".log")}
	host := "127.0.0.1"
	if f.network != nil {
		p.net = f.network.link()
		host = p.net.addr.String()
	}
	port, err := f.freePort(host)
	if err != nil {
		return nil, err
	}
	p.Address = net.JoinHostPort(host, strconv.Itoa(port))
	p.Data = f.path(name)
	if err := os.MkdirAll(p.Data, 0o700); err != nil {
		return nil, err
	}
	if role == RoleTrackCache && f.config.Disk > 0 {
		if err := f.smallDisk(p.Data, f.config.Disk); err != nil {
			return nil, err
		}
	}
	store := []string{"--store", "sqlite", "--fleet-share-store"}
	if f.engine != nil || role != RoleCatalog || len(f.Role(RoleCatalog)) > 0 {
		store = []string{"--store", f.StoreAddress()}
	}
	var own []string
	switch {
	case role == RoleCatalog && len(f.Role(RoleCatalog)) == 0:
		own = []string{"--clock-serve", "--clock-listen", p.Address} // over UDP
	case role == RoleDelivery:
		if port, err = f.freePort(host); err != nil {
			return nil, err
		}
		p.Snapcast = net.JoinHostPort(host, strconv.Itoa(port))
		own = []string{"--clock-servers", f.Role(RoleCatalog)[0].Address, "--snapcast", p.Snapcast, "--snapcast-control", "off", "--snapcast-http", "off"}
	}
	p.spec = command{
		path: f.config.Bin,
		args: slices.Concat(store, []string{
			"serve", "--role", role, "--listen", p.Address, "--fleet-advertise", p.Address, "--data", p.Data, "--music", f.MusicAddress(),
			"--fleet-key-file", f.KeyFile(), "--fleet-secret-file", f.path("secret.key"), "--log-format", "json",
		}, own, f.certificates(), f.config.Args[""], f.config.Args[role]),
		env:   f.env(),
		ready: func(ctx context.Context, p *Process) error { return reachable(ctx, f.inside, f.address(p)+"/readyz") },
	}
	f.members = append(f.members, p)
	return p, nil
}

// smallDisk makes a folder a disk of its own.
func (f *Fleet) smallDisk(dir string, size int64) error {
	if !f.config.Isolated {
		return errors.New("a bounded disk needs a mount namespace: see Isolate")
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to this namespace: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+strconv.FormatInt(size, 10)); err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	f.later(func(context.Context) error { return syscall.Unmount(dir, 0) })
	return nil
}

// FillDisk takes all the space that a process's data folder has left, and returns what gives it back.
func FillDisk(p *Process) (free func() error, err error) {
	name := filepath.Join(p.Data, "balloon")
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	free = func() error { return os.Remove(name) }
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = file.Write(block)
		if errors.Is(err, syscall.ENOSPC) && len(block) > 1 {
			block, err = block[:len(block)/2], nil
		}
	}
	err = errors.Join(errUnless(err, syscall.ENOSPC), errUnless(file.Close(), syscall.ENOSPC))
	if err != nil {
		return nil, errors.Join(err, free())
	}
	return free, nil
}

func errUnless(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

// front starts nginx.
func (f *Fleet) front(ctx context.Context) error {
	f.config.Progress("starting nginx")
	port, err := f.config.Port, error(nil)
	if port == 0 {
		if port, err = f.freePort("127.0.0.1"); err != nil {
			return err
		}
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	f.URL = "http://" + address
	f.nginx = &Process{Name: "nginx", Role: RoleNginx, Address: address, Log: f.path("log", "nginx.log"), Data: f.path("nginx")}
	if err := os.MkdirAll(f.nginx.Data, 0o755); err != nil {
		return err
	}
	f.nginx.spec = command{
		path: f.config.Bin,
		args: slices.Concat([]string{
			"nginx", "--run", "--nginx-listen", address, "--data", f.nginx.Data, "--store", f.StoreAddress(),
			"--fleet-key-file", f.KeyFile(), "--log-format", "json",
		}, f.certificates(), f.config.Args[RoleNginx]),
		env: f.env(),
		ready: func(ctx context.Context, _ *Process) error {
			client := f.Client()
			return client.Call(ctx, "ping", nil, "", nil)
		},
	}
	return f.nginx.Start(ctx)
}

// address is the URL of a service's process, without a slash at the end.
func (f *Fleet) address(p *Process) string {
	if f.config.TLS {
		return "https://" + p.Address
	}
	return "http://" + p.Address
}

// certificates are the flags that name the certificates which authority made.
func (f *Fleet) certificates() []string {
	if !f.config.TLS {
		return nil
	}
	return []string{"--fleet-tls-ca", f.path("ca.pem"), "--fleet-tls-cert", f.path("node.pem"), "--fleet-tls-key", f.path("node.key")}
}

// authority makes a certificate authority and one certificate for all members, and returns a client that has it.
func (f *Fleet) authority() (*http.Client, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the fleet"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 7),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	node := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a member"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{peer.FleetName}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	nodeDER, err := x509.CreateCertificate(rand.Reader, node, ca, key.Public(), caKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	for name, block := range map[string]pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: caDER}, "node.pem": {Type: "CERTIFICATE", Bytes: nodeDER}, "node.key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(f.path(name), pem.EncodeToMemory(&block), 0o600); err != nil {
			return nil, err
		}
	}
	_, config, err := peer.ReadTLS(f.path("ca.pem"), f.path("node.pem"), f.path("node.key"))
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, nil
}

// Client speaks to the fleet's address as its first admin.
func (f *Fleet) Client() *Client {
	return &Client{URL: f.URL, User: f.config.User, Password: f.Password}
}

// ClientOf speaks to one delivery process, past nginx.
func (f *Fleet) ClientOf(p *Process) *Client {
	return &Client{URL: f.address(p), User: f.config.User, Password: f.Password, HTTP: f.inside}
}

// Role returns the processes of a role, in the order in which they were started.
func (f *Fleet) Role(role string) []*Process {
	if role == RoleNginx {
		return []*Process{f.nginx}
	}
	var out []*Process
	for _, p := range f.members {
		if p.Role == role {
			out = append(out, p)
		}
	}
	return out
}

// Members returns the processes of the services.
func (f *Fleet) Members() []*Process { return slices.Clone(f.members) }

// Nginx returns the process that runs nginx and follows the fleet. nginx itself and its workers are below it.
func (f *Fleet) Nginx() *Process { return f.nginx }

// Cut takes a process off the network, or back to it: what is sent to it goes nowhere, and nobody is told.
func (f *Fleet) Cut(ctx context.Context, p *Process, off bool) error {
	if p.net == nil {
		return fmt.Errorf("%s has no network of its own to be cut from: see Config.Isolated", p.Name)
	}
	return p.net.cut(ctx, off)
}

// LogDir is the folder with a log of each part.
func (f *Fleet) LogDir() string { return f.path("log") }

// User is the first admin's name.
func (f *Fleet) User() string { return f.config.User }

// Supervise starts a part again that ended by itself, after a pause and at its address, as an init system does. It tells
// of each, keeps cluster.json true, and returns when ctx has ended. Stop comes after that.
func (f *Fleet) Supervise(ctx context.Context, pause time.Duration, tell func(string)) {
	var wg sync.WaitGroup
	again := func(name string, ended func() <-chan struct{}, start func(context.Context) error) {
		wg.Go(func() {
			for ctx.Err() == nil {
				select {
				case <-ended():
				case <-ctx.Done():
					return
				}
				tell(name + " ended; it is started again")
				err := wait(ctx, pause)
				if err == nil {
					err = start(ctx)
				}
				if err == nil {
					err = f.WriteTable()
				}
				if err != nil && ctx.Err() == nil {
					tell(err.Error())
				}
			}
		})
	}
	for _, p := range append(f.Members(), f.nginx) {
		again(p.Name, p.ended, p.Start)
	}
	again("the object store", func() <-chan struct{} { return f.objects.Done() }, f.startObjects)
	if f.engine != nil && f.config.Engine == DynamoDBLocal && !f.config.Memory { // it finds its tables again
		again(string(f.config.Engine), func() <-chan struct{} { return f.engine.Done() }, f.startEngine)
	}
	wg.Wait()
}

// Demo composes the demo album into a folder, where it is not there yet.
func Demo(ctx context.Context, bin, dir string) error {
	if b, err := exec.CommandContext(ctx, bin, "demo", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("compose the demo album: %w: %s", err, b)
	}
	return nil
}

// Entry is a line of cluster.json.
type Entry struct {
	Role    string `json:"role"`
	PID     int    `json:"pid"`
	Address string `json:"address"` // HOST:PORT

	Snapcast string `json:"snapcast,omitempty"` // HOST:PORT for Snapcast clients, of a delivery process
}

// Table says who runs where, nginx, DynamoDB and the object store included.
func (f *Fleet) Table() []Entry {
	var out []Entry
	if f.nginx != nil {
		pid := f.nginx.PID()
		if below, err := f.nginx.Children(); err == nil && len(below) > 0 {
			pid = below[0] // nginx itself, whose children are its workers
		}
		out = append(out, Entry{Role: RoleNginx, PID: pid, Address: f.nginx.Address})
	}
	for _, p := range f.members {
		out = append(out, Entry{p.Role, p.PID(), p.Address, p.Snapcast})
	}
	f.parts.Lock()
	defer f.parts.Unlock()
	if f.engine != nil {
		out = append(out, Entry{Role: RoleDynamoDB, PID: f.engine.PID, Address: strings.TrimPrefix(f.engine.URL, "http://")})
	}
	return append(out, Entry{Role: RoleS3, PID: f.objects.PID, Address: f.objects.Address()})
}

// WriteTable writes Table to cluster.json in the fleet's folder.
func (f *Fleet) WriteTable() error {
	b, err := json.MarshalIndent(f.Table(), "", "  ")
	if err != nil {
		return err
	}
	f.file.Lock()
	defer f.file.Unlock()
	name := f.path("cluster.json")
	if err := os.WriteFile(name+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// Stop takes the fleet down, those first that need the others, and returns what went wrong: also a process that ended by
// itself before.
func (f *Fleet) Stop(ctx context.Context) error {
	var errs []error
	var first, second, last []*Process
	for _, p := range f.members {
		errs = append(errs, p.Unexpected())
		switch {
		case p.Role != RoleCatalog:
			first = append(first, p)
		case f.engine == nil && last == nil: // it keeps the state of all others
			last = append(last, p)
		default:
			second = append(second, p)
		}
	}
	if f.nginx != nil {
		errs = append(errs, f.nginx.Unexpected(), f.nginx.Terminate(ctx))
	}
	for _, group := range [][]*Process{first, second, last} {
		var wg sync.WaitGroup
		ended := make([]error, len(group))
		for i, p := range group {
			wg.Go(func() { ended[i] = p.Terminate(ctx) })
		}
		wg.Wait()
		errs = append(errs, ended...)
	}
	for _, undo := range slices.Backward(f.undo) {
		errs = append(errs, undo(ctx))
	}
	f.undo = nil
	return errors.Join(errs...)
}

// freePort returns a port that nobody listens on, below those that the kernel gives to outgoing connections, so that it
// stays free while a process is restarted. In another namespace every port is free.
func (f *Fleet) freePort(host string) (int, error) {
	const low, high = 20000, 32000
	for range 100 {
		port := low + mathrand.IntN(high-low)
		if slices.Contains(f.ports, port) {
			continue
		}
		if host == "127.0.0.1" {
			l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
			if err != nil {
				continue
			}
			if err := l.Close(); err != nil {
				return 0, err
			}
		}
		f.ports = append(f.ports, port)
		return port, nil
	}
	return 0, errors.New("a hundred ports were tried and all are taken")
}
