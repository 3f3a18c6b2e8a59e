// Package s3 is the origin of music that lies in buckets of an S3-compatible object store.
//
// What is a file: every object below the library's prefix whose key, taken apart at the slashes, is a path: no empty
// element, no "." and no "..". Directories are what the slashes make of the keys; the empty objects that some programs
// put in a directory's place ("a/", or "a" beside "a/b") are those directories. Which files there are is also a matter
// of origin.Rules, as in a folder. No request names a key outside the library's prefix.
//
// Names: keys are paths, with origin.EscapeName applied to each element, should a store have keys that are not UTF-8.
//
// Time: an object store's times are whole seconds, and say when an object was put there. The part of ModTime below a
// second is made of the object's ETag: so whoever compares size and time, as a scan does, notices new bytes even where
// they have the old size and came within the same second.
//
// Which bytes: every request after the first for an object is for the version that the first one met (If-Match), so
// bytes of two versions are never mixed. An answer that is shorter than it promised is asked for again from where it
// ended.
//
// What is asked again: a request that failed in a way that may pass (no connection, 5xx, "slow down") is made up to
// three times, after a random wait that grows, as long as there is budget: each success earns a fifth of a retry, so a
// store in trouble is not asked five times as much as a healthy one. OpenRange is the exception: its caller decides.
//
// Credentials are found where the AWS SDK for Go looks for them: the environment (AWS_ACCESS_KEY_ID, …), the shared
// configuration files, the role of the container or machine.
package s3

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"tutti"
	"tutti/clock"
	"tutti/origin"
)

// Library is a bucket of music, or a part of one.
type Library struct {
	ID   string // see tutti.Library
	Name string // "": the last element of the prefix, else the bucket

	Bucket    string
	Prefix    string // of the keys; slashes around it do not matter. "": the whole bucket
	Endpoint  string // URL of the store; "": Amazon's for the region
	Region    string // "": what the SDK finds, else us-east-1, which other stores than Amazon's ignore
	PathStyle bool   // https://endpoint/bucket/key rather than https://bucket.endpoint/key
	Anonymous bool   // requests are not signed: for public buckets

	// Include and Exclude are patterns, as origin.ParseRules takes them.
	Include, Exclude []string
}

// Config says which libraries there are and how to treat the store. Libraries and Clock are required.
type Config struct {
	Libraries []Library
	Clock     clock.Clock
	Logger    *slog.Logger // nil discards
	Prices    *Prices      // nil: DefaultPrices

	ConnectTimeout time.Duration // until there is a connection; 0: 2 s
	ReplyTimeout   time.Duration // until the answer begins, and for a whole listing; 0: 10 s
	IdleTimeout    time.Duration // between two pieces of an object's bytes; 0: 10 s

	// Transport carries the requests instead of the package's own, which the timeouts above are of. Close leaves it
	// alone. It is the seam for faults.
	Transport http.RoundTripper
}

const (
	defaultConnect = 2 * time.Second
	defaultReply   = 10 * time.Second
	defaultIdle    = 10 * time.Second
	defaultRegion  = "us-east-1"
)

// maxKey is how many bytes a key may have (Amazon S3 User Guide, "Naming Amazon S3 objects").
const maxKey = 1024

// Origin implements tutti.Origin and tutti.RangeSource. It is a prometheus.Collector.
type Origin struct {
	libs   []*library
	public []tutti.Library
	clock  clock.Clock
	log    *slog.Logger

	reply, idle time.Duration
	transport   *http.Transport // ours; nil where the caller brought one
	budget      budget
	meter       meter
}

type library struct {
	tutti.Library
	rules  origin.Rules
	bucket string
	prefix string // "" or ends in a slash
	client *s3.Client
}

var (
	_ tutti.Origin      = (*Origin)(nil)
	_ tutti.RangeSource = (*Origin)(nil)
)

// New returns an origin for the libraries. It asks the store nothing; ctx bounds the reading of the SDK's
// configuration. KindInvalid: an empty or repeated ID, no bucket, an endpoint that is no http or https URL, or a pattern that
// is none.
func New(ctx context.Context, c Config) (*Origin, error) {
	const op = "s3.New"
	if c.Clock == nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a clock is needed")
	}
	o := &Origin{clock: c.Clock, log: c.Logger, reply: orElse(c.ReplyTimeout, defaultReply), idle: orElse(c.IdleTimeout, defaultIdle)}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	prices := DefaultPrices
	if c.Prices != nil {
		prices = *c.Prices
	}
	o.meter.init(prices)
	o.budget.left = budgetMax
	rt := c.Transport
	if rt == nil {
		o.transport = &http.Transport{
			Proxy:       http.ProxyFromEnvironment, // as the SDK does: a store may be reached through a proxy only
			DialContext: (&net.Dialer{Timeout: orElse(c.ConnectTimeout, defaultConnect), KeepAlive: 30 * time.Second}).DialContext,
			// The connections of one node's fills and scan are kept, rather than the two that net/http keeps.
			MaxIdleConns: 256, MaxIdleConnsPerHost: 128, IdleConnTimeout: 30 * time.Second,
			TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: o.reply,
			DisableCompression: true,      // music is compressed; what arrives must be what was put
			ReadBufferSize:     128 << 10, // fewer system calls a megabyte than with 4 KiB
		}
		rt = o.transport
	}
	base, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: "the configuration of the AWS SDK (environment or ~/.aws) is not usable", Err: err}
	}
	for _, l := range c.Libraries {
		lib, err := o.library(op, l)
		if err != nil {
			return nil, err
		}
		lib.client = s3.NewFromConfig(base, func(so *s3.Options) {
			so.HTTPClient = &http.Client{Transport: rt}
			so.Retryer = aws.NopRetryer{} // see budget
			so.UsePathStyle = l.PathStyle
			if l.Endpoint != "" {
				so.BaseEndpoint = aws.String(l.Endpoint)
			}
			so.Region = firstOf(l.Region, so.Region, defaultRegion)
			if l.Anonymous {
				so.Credentials = aws.AnonymousCredentials{}
			}
			// The checksums that Amazon keeps are of whole objects; parts cannot be checked against them, and other
			// stores do not know the headers.
			so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		})
		o.libs, o.public = append(o.libs, lib), append(o.public, lib.Library)
	}
	return o, nil
}

func orElse(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

func (o *Origin) library(op string, l Library) (*library, error) {
	if l.ID == "" || l.Bucket == "" || strings.ContainsAny(l.Bucket, "/\x00") {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a library needs an id and a bucket")
	}
	if o.find(l.ID) != nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "two libraries have the id %q", l.ID)
	}
	if l.Endpoint != "" {
		u, err := url.Parse(l.Endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "library %q: the endpoint is an address such as https://s3.example.org", l.ID)
		}
	}
	prefix := strings.Trim(l.Prefix, "/")
	if prefix != "" && (!fs.ValidPath(prefix) || strings.IndexByte(prefix, 0) >= 0 || len(prefix) > maxKey/2) {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "library %q: %q is not a prefix of keys that are paths", l.ID, l.Prefix)
	}
	where := "s3://" + l.Bucket
	name := firstOf(l.Name, prefix[strings.LastIndexByte(prefix, '/')+1:], l.Bucket)
	if prefix != "" {
		where += "/" + prefix
		prefix += "/"
	}
	rules, err := origin.ParseRules(l.Include, l.Exclude)
	if err != nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "library %q: %v", name, err)
	}
	return &library{Library: tutti.Library{ID: l.ID, Name: name, Path: where}, rules: rules, bucket: l.Bucket, prefix: prefix}, nil
}

func (o *Origin) find(id string) *library {
	for _, l := range o.libs {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// Close closes the connections that are kept for later requests. Objects that are open can still be read.
func (o *Origin) Close() error {
	if o.transport != nil {
		o.transport.CloseIdleConnections()
	}
	return nil
}

// Libraries returns the configured libraries in their order.
func (o *Origin) Libraries() []tutti.Library { return slices.Clone(o.public) }

// Watch returns KindUnavailable: an object store tells nobody of changes. A scheduled scan finds them.
func (o *Origin) Watch(_ context.Context, lib string, _ func(dir string)) error {
	const op = "s3.Watch"
	l := o.find(lib)
	if l == nil {
		return noLibrary(op, lib)
	}
	return tutti.Errorf(tutti.KindUnavailable, op, "the library %q lies in an object store, which cannot be watched; scans find what changed", l.Name)
}

// Watchable reports whether Watch is worth trying for a library: never. Package scan asks.
func (o *Origin) Watchable(string) bool { return false }

func noLibrary(op, lib string) error {
	return tutti.Errorf(tutti.KindNotFound, op, "there is no library %q", lib)
}

func noFile(op, p string) error {
	return tutti.Errorf(tutti.KindNotFound, op, "there is no file %q", p)
}

// enter checks a path. key is the object's key, and for a directory the prefix of what is in it less its last slash;
// for the root that is the library's prefix without its slash.
func (o *Origin) enter(op, lib, p string, dir bool) (l *library, key string, err error) {
	if l = o.find(lib); l == nil {
		return nil, "", noLibrary(op, lib)
	}
	name, ok := origin.UnescapePath(p)
	if !ok || !fs.ValidPath(p) || strings.IndexByte(p, 0) >= 0 || len(l.prefix)+len(name) >= maxKey {
		return nil, "", tutti.Errorf(tutti.KindNotFound, op, "%q is not a path within a library", p)
	}
	if l.rules.HidesAny(p, dir) {
		return nil, "", noFile(op, p)
	}
	return l, l.prefix + name, nil
}

// facts are what every answer says of an object.
type facts struct {
	size    int64
	modTime time.Time
	tag     string // ETag with its quotes, if it is a strong one
}

func factsOf(size int64, modTime *time.Time, tag *string) facts {
	f := facts{size: size}
	if tag != nil && strings.HasPrefix(*tag, `"`) {
		f.tag = *tag
	} else if tag != nil && *tag != "" && !strings.HasPrefix(*tag, "W/") {
		f.tag = `"` + *tag + `"` // some stores leave the quotes out
	}
	if modTime != nil {
		f.modTime = modTime.UTC().Truncate(time.Second)
		if f.tag != "" {
			sum := sha256.Sum256([]byte(f.tag))
			f.modTime = f.modTime.Add(time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(time.Second)))
		}
	}
	return f
}

func (f facts) info(p string) tutti.FileInfo {
	return tutti.FileInfo{Path: p, Size: f.size, ModTime: f.modTime}
}
