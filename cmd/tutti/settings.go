package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"tutti/carbon"
	"tutti/enrich"
)

// settings is everything that can be configured. Each field is at once a flag (--listen), an environment variable
// (TUTTI_LISTEN) and a key of tutti.yml (listen; the flag's dashes are the file's levels where a section exists, so
// --cache-size is size under cache). Flags win over the environment, that over the file, and that over the defaults.
type settings struct {
	Config string `help:"Configuration file." env:"TUTTI_CONFIG" placeholder:"FILE" type:"path" group:"General"`
	Data   string `help:"Folder for the database, keys and caches; made with mode 0700." default:"${data}" env:"TUTTI_DATA" type:"path" group:"General"`

	Music       []musicFolder `help:"Folder with music, as DIR or NAME=DIR, or bucket, as s3://BUCKET/PREFIX?region=…; repeat for several." env:"TUTTI_MUSIC" placeholder:"DIR" group:"Library"`
	FollowLinks bool          `help:"Follow symbolic links that lead out of a music folder." env:"TUTTI_FOLLOW_LINKS" group:"Library"`
	Scan        scanSettings  `embed:"" prefix:"scan-" group:"Library"`

	Analyse analyseSettings `embed:"" prefix:"analyse-" group:"Library"`

	Enrich enrichSettings `embed:"" prefix:"enrich-" group:"Library"`

	Listen []string     `help:"Addresses to serve on: HOST:PORT, or unix:/path/to/socket. Anything but loopback is reachable by others." default:"127.0.0.1:4533" env:"TUTTI_LISTEN" group:"Server"`
	Role   string       `help:"Which services this process runs: all of them, or one of a fleet." default:"all" enum:"${roles}" env:"TUTTI_ROLE" group:"Server"`
	HTTP   httpSettings `embed:"" prefix:"http-" group:"Server"`

	Store storeAddress  `help:"Where the shared state lies: sqlite (in the data folder), dynamodb://TABLE?region=…, or http://HOST:PORT of a catalogue process that shares its own." default:"sqlite" env:"TUTTI_STORE" placeholder:"ADDRESS" group:"Fleet"`
	Fleet fleetSettings `embed:"" prefix:"fleet-" group:"Fleet"`

	Metadata metadataSettings `embed:"" prefix:"metadata-" group:"Fleet"`

	Snapcast string `help:"Address on which Snapcast clients join rooms; off for none." default:"${snapcast}" env:"TUTTI_SNAPCAST" placeholder:"HOST:PORT" group:"Rooms"`

	SnapcastControl string `help:"Address on which apps control rooms as Snapcast's (JSON-RPC over TCP); off for none." default:"${snapcastControl}" env:"TUTTI_SNAPCAST_CONTROL" placeholder:"HOST:PORT" group:"Rooms"`

	SnapcastHTTP string `name:"snapcast-http" help:"Address on which apps control rooms as Snapcast's over HTTP and WebSockets; off for none." default:"${snapcastHTTP}" env:"TUTTI_SNAPCAST_HTTP" placeholder:"HOST:PORT" group:"Rooms"`

	SnapcastFormat string `help:"What Snapcast clients are sent: flac, which takes about half of the network that pcm does, or pcm, which costs the smallest of clients less." default:"flac" enum:"flac,pcm" env:"TUTTI_SNAPCAST_FORMAT" group:"Rooms"`

	Sendspin string `help:"Address on which Sendspin clients join rooms; off for none." default:"${sendspin}" env:"TUTTI_SENDSPIN" placeholder:"HOST:PORT" group:"Rooms"`

	SendspinPaired bool `help:"Let nobody in by Sendspin who was not paired (tutti room pair); by default whoever can reach the port may play, as with Snapcast." env:"TUTTI_SENDSPIN_PAIRED" group:"Rooms"`

	SendspinOrigins []string `help:"Hosts whose web pages may connect by Sendspin, besides those of this server's own host; * for any." env:"TUTTI_SENDSPIN_ORIGINS" placeholder:"HOST" group:"Rooms"`

	RoomBound time.Duration `help:"In a fleet, the most that a process's clock may be wrong by for it to lead a room." default:"50ms" env:"TUTTI_ROOM_BOUND" group:"Rooms"`

	Clock clockSettings `embed:"" prefix:"clock-" group:"Clock"`

	Cache     cacheSettings     `embed:"" prefix:"cache-" group:"Cache and transcoding"`
	Transcode transcodeSettings `embed:"" prefix:"transcode-" group:"Cache and transcoding"`

	Radio radioSettings `embed:"" prefix:"radio-" group:"Server"`

	Grid   gridSettings   `embed:"" prefix:"grid-" group:"Energy"`
	Carbon carbonSettings `embed:"" prefix:"carbon-" group:"Energy"`

	Log   logSettings   `embed:"" prefix:"log-" group:"Operations"`
	Trace traceSettings `embed:"" prefix:"trace-" group:"Operations"`
}

// carbonSettings say what is known of the machine's energy, and of what making it emitted.
type carbonSettings struct {
	Plug     string `help:"Plug or UPS that measures what this machine draws, as the address of its answer in JSON." env:"TUTTI_CARBON_PLUG" placeholder:"URL"`
	PlugPath string `help:"Where in the answer the number is." default:"$.apower" env:"TUTTI_CARBON_PLUG_PATH" placeholder:"PATH"`
	PlugUnit string `help:"Its unit: ${enum}. A counter of energy is exact however seldom it is read." default:"W" enum:"W,Wh,kWh,J" env:"TUTTI_CARBON_PLUG_UNIT"`
	Powercap string `help:"Folder of the processor's energy counters." default:"/sys/class/powercap" env:"TUTTI_CARBON_POWERCAP" type:"path" placeholder:"DIR"`

	VCPUMinWatts float64 `name:"vcpu-min-watts" help:"Power of an idle virtual processor, where nothing measures; with vcpu-max-watts." default:"0" env:"TUTTI_CARBON_VCPU_MIN_WATTS"`
	VCPUMaxWatts float64 `name:"vcpu-max-watts" help:"Power of a busy one; 0 takes both from its family." default:"0" env:"TUTTI_CARBON_VCPU_MAX_WATTS"`
	MemoryWatts  float64 `help:"Power of a GB of memory, where nothing measures." default:"0.392" env:"TUTTI_CARBON_MEMORY_WATTS"`

	EmbodiedKg float64 `help:"What making this machine emitted, in kg of CO2 equivalent; 0 estimates it as for a rack server." default:"0" env:"TUTTI_CARBON_EMBODIED_KG"`
	LifeYears  float64 `help:"For how long it will be used." default:"4" env:"TUTTI_CARBON_LIFE_YEARS"`
	Share      float64 `help:"Share of this machine that is there for tutti, above 0 and up to 1: of its idleness and its making." default:"1" env:"TUTTI_CARBON_SHARE"`
}

func (c carbonSettings) validate() error {
	for name, v := range map[string]float64{
		"vcpu-min-watts": c.VCPUMinWatts, "vcpu-max-watts": c.VCPUMaxWatts, "memory-watts": c.MemoryWatts, "embodied-kg": c.EmbodiedKg,
	} {
		if !(v >= 0 && v <= 1e6) {
			return fmt.Errorf("carbon: %s is %v; it is an amount, 0 or more", name, v)
		}
	}
	if c.VCPUMinWatts > c.VCPUMaxWatts {
		return errors.New("carbon: an idle processor draws no more than a busy one; set vcpu-min-watts and vcpu-max-watts together")
	}
	if !(c.Share > 0 && c.Share <= 1) {
		return fmt.Errorf("carbon: share is %v; it is a share, above 0 and up to 1", c.Share)
	}
	if !(c.LifeYears > 0 && c.LifeYears <= 100) {
		return fmt.Errorf("carbon: life-years is %v; write how many years this machine will be used", c.LifeYears)
	}
	return nil
}

// Validate refuses settings that each are well-formed and together make no sense. kong calls it.
func (s *settings) Validate() error {
	if s.Analyse.Tracks < 1 || s.Analyse.Tracks > 64 {
		return fmt.Errorf("analyse: tracks is %d; it is from 1 to 64", s.Analyse.Tracks)
	}
	if !(s.Trace.Sample >= 0 && s.Trace.Sample <= 1) {
		return fmt.Errorf("trace: sample is %v; it is a share, from 0 to 1", s.Trace.Sample)
	}
	if err := s.Enrich.check(); err != nil {
		return err
	}
	if err := s.Grid.check(); err != nil {
		return err
	}
	if err := s.Carbon.validate(); err != nil {
		return err
	}
	if s.Fleet.TLSCA != "" && (s.Fleet.TLSCert == "" || s.Fleet.TLSKey == "") || s.Fleet.TLSCA == "" && s.Fleet.TLSCert+s.Fleet.TLSKey != "" {
		return errors.New("fleet: tls-ca, tls-cert and tls-key belong together; set all three or none")
	}
	if s.Role == "delivery" && s.Fleet.TLSCA != "" && s.HTTP.TLSCert != "" {
		return errors.New("a delivery process of a fleet with TLS shows the fleet's certificate, to nginx, and nginx shows listeners theirs: leave http: tls-cert and tls-key out here, and give them to tutti nginx")
	}
	if s.Role != "all" && s.Role != "catalog" && s.Store.sqlite() {
		return fmt.Errorf("the role %s needs a store that the fleet shares; name it with --store", s.Role)
	}
	for i, a := range s.Music {
		for _, b := range s.Music[:i] {
			if a.S3 != nil || b.S3 != nil {
				if a.Path == b.Path || strings.HasPrefix(a.Path+"/", b.Path+"/") || strings.HasPrefix(b.Path+"/", a.Path+"/") {
					return fmt.Errorf("the music in %s and %s overlaps, so every track in both would appear twice; name only the outer one", b.Path, a.Path)
				}
				continue
			}
			if within(a.Path, b.Path) || within(b.Path, a.Path) {
				return fmt.Errorf("the music folders %s and %s overlap, so every track in both would appear twice; name only the outer one", b.Path, a.Path)
			}
		}
	}
	return nil
}

// within reports whether a path is another or lies inside it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

type scanSettings struct {
	Watch           bool          `help:"Notice changes in the music folders as they happen." default:"true" negatable:"" env:"TUTTI_SCAN_WATCH"`
	Interval        time.Duration `help:"Look through the folders this often as well; 0 never." default:"24h" env:"TUTTI_SCAN_INTERVAL"`
	AtStart         bool          `help:"Look through the folders when the server starts." default:"true" negatable:"" env:"TUTTI_SCAN_AT_START"`
	Workers         int           `help:"Files read at once; 0 is one for each core." default:"0" env:"TUTTI_SCAN_WORKERS"`
	IgnoredArticles []string      `help:"Words that do not count at the start of an artist's name when sorting." default:"The,El,La,Los,Las,Le,Les,Der,Die,Das" env:"TUTTI_SCAN_IGNORED_ARTICLES"`
}

type analyseSettings struct {
	Enabled bool `help:"Listen to every track once, for loudness, tempo, key and what it sounds like." default:"true" negatable:"" env:"TUTTI_ANALYSE_ENABLED"`
	Tracks  int  `help:"Tracks listened to at once." default:"1" env:"TUTTI_ANALYSE_TRACKS"`
	Buckets bool `help:"Listen to music in buckets, too, all of which is fetched for it." env:"TUTTI_ANALYSE_BUCKETS"`
}

type enrichSettings struct {
	Suggest bool    `help:"Look through the library after scans for what could be mended in its tags. Files are never written." default:"true" negatable:"" env:"TUTTI_ENRICH_SUGGEST"`
	Apply   float64 `help:"Probability from which suggestions are applied without asking, 0.9 to 1; 0 asks always. They can be taken back at any time." default:"0" env:"TUTTI_ENRICH_APPLY"`
}

// check refuses a rule that would apply mere guesses.
func (e enrichSettings) check() error {
	if e.Apply != 0 && !(e.Apply >= enrich.MinApply && e.Apply <= 1) {
		return fmt.Errorf("enrich: apply is %v; it is a probability from %v to 1, or 0 to be asked always", e.Apply, enrich.MinApply)
	}
	return nil
}

type httpSettings struct {
	PublicURL      string         `name:"public-url" help:"Address under which listeners reach the server, for links in shares; by default what their request says." env:"TUTTI_HTTP_PUBLIC_URL" placeholder:"URL"`
	BasePath       string         `help:"Path under which a proxy shows the server, such as /music." env:"TUTTI_HTTP_BASE_PATH" placeholder:"PATH"`
	TrustedProxies []netip.Prefix `help:"Networks of reverse proxies whose X-Forwarded-… headers are believed." default:"127.0.0.0/8,::1/128" env:"TUTTI_HTTP_TRUSTED_PROXIES"`
	TLSCert        string         `name:"tls-cert" help:"Certificate chain in PEM, to serve https." env:"TUTTI_HTTP_TLS_CERT" placeholder:"FILE" type:"path"`
	TLSKey         string         `name:"tls-key" help:"Private key of the certificate in PEM." env:"TUTTI_HTTP_TLS_KEY" placeholder:"FILE" type:"path"`
	ShutdownGrace  time.Duration  `help:"How long running streams may go on when the server is asked to stop." default:"30s" env:"TUTTI_HTTP_SHUTDOWN_GRACE"`
}

type cacheSettings struct {
	Size   byteSize `help:"Disk space for transcodes and resized pictures." default:"10GiB" env:"TUTTI_CACHE_SIZE"`
	Memory byteSize `help:"Memory for the hottest pieces." default:"32MiB" env:"TUTTI_CACHE_MEMORY"`
	Heads  string   `help:"Which tracks from a bucket have their first seconds kept in the store, to start at once while the bucket is slow: after the second play, always or never." default:"second" enum:"second,always,never" env:"TUTTI_CACHE_HEADS"`

	HeadsTTL    time.Duration `name:"heads-ttl" help:"How long such a beginning is kept after it was last of use." default:"720h" env:"TUTTI_CACHE_HEADS_TTL"`
	HeadsBudget float64       `name:"heads-budget" help:"What such beginnings may cost all members together in the store, in dollars a month. Each spends its share; one that starts again begins anew." default:"10" env:"TUTTI_CACHE_HEADS_BUDGET"`
}

type fleetSettings struct {
	Advertise  string        `help:"HOST:PORT under which the other processes of the fleet reach this one; by default the first address of listen." env:"TUTTI_FLEET_ADVERTISE" placeholder:"HOST:PORT"`
	KeyFile    string        `help:"Keys that the processes of the fleet share, made by: tutti fleet key FILE. Without one, only loopback is spoken to." env:"TUTTI_FLEET_KEY_FILE" placeholder:"FILE" type:"path"`
	SecretFile string        `help:"Key that encrypts what accounts have to keep readable; every process of a fleet needs the same. By default secret.key in the data folder." env:"TUTTI_FLEET_SECRET_FILE" placeholder:"FILE" type:"path"`
	ShareStore bool          `help:"Let the other processes of the fleet use this process's sqlite." env:"TUTTI_FLEET_SHARE_STORE"`
	TLSCA      string        `name:"tls-ca" help:"Certificate authority of the fleet in PEM; with it and the next two, the processes speak TLS and both sides show a certificate." env:"TUTTI_FLEET_TLS_CA" placeholder:"FILE" type:"path"`
	TLSCert    string        `name:"tls-cert" help:"This process's certificate in PEM, signed by that authority." env:"TUTTI_FLEET_TLS_CERT" placeholder:"FILE" type:"path"`
	TLSKey     string        `name:"tls-key" help:"Private key of that certificate in PEM." env:"TUTTI_FLEET_TLS_KEY" placeholder:"FILE" type:"path"`
	Drain      time.Duration `help:"How long a process that is told to stop goes on taking requests, until everybody has heard of it." default:"2s" env:"TUTTI_FLEET_DRAIN"`
}

// metadataSettings say how metadata is written for others to read.
type metadataSettings struct {
	Store string `help:"How the catalogue is written to the store: auto, packed as soon as every process that reads it can; packed, whatever others can; small, packed and a tenth smaller by the metadata model, where a start may take longer; plain, as the versions before did, for as long as you may want to go back to one." default:"auto" enum:"auto,packed,small,plain" env:"TUTTI_METADATA_STORE"`
	Wire  string `help:"How metadata travels between the processes of a fleet: auto, in a fraction of the bytes where both sides can; small, texts through the metadata model as well; plain, as the versions before did." default:"auto" enum:"auto,small,plain" env:"TUTTI_METADATA_WIRE"`
}

// storeAddress is a --store value: "sqlite", "dynamodb://TABLE?region=R&endpoint=URL", or the address of a process that
// shares its store.
type storeAddress struct {
	Table, Region, Endpoint string // of DynamoDB
	Elsewhere               string // http:// or https:// address of a process
}

// sqlite reports whether the state lies in the data folder.
func (a storeAddress) sqlite() bool { return a.Table == "" && a.Elsewhere == "" }

// UnmarshalText reads an address.
func (a *storeAddress) UnmarshalText(text []byte) error {
	*a = storeAddress{}
	s := string(text)
	if s == "sqlite" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Path != "" {
		return fmt.Errorf("%q is no store; write sqlite, dynamodb://TABLE?region=eu-west-1, or http://HOST:PORT", s)
	}
	switch u.Scheme {
	case "http", "https":
		if u.RawQuery != "" {
			return fmt.Errorf("the address of a store, %q, takes nothing after its port", s)
		}
		a.Elsewhere = s
		return nil
	case "dynamodb":
		q, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(q) > 0 && !onlyKeys(q, "region", "endpoint") {
			return fmt.Errorf("the store %q takes region and endpoint only", s)
		}
		a.Table, a.Region, a.Endpoint = u.Host, q.Get("region"), q.Get("endpoint")
		return nil
	}
	return fmt.Errorf("%q is no store; write sqlite, dynamodb://TABLE?region=eu-west-1, or http://HOST:PORT", s)
}

type transcodeSettings struct {
	Format   string        `help:"Format when a player needs a lower bit rate and names none: ${enum}." default:"opus" enum:"opus,mp3,aac" env:"TUTTI_TRANSCODE_FORMAT"`
	Parallel int           `help:"Transcodes at once; 0 is one for each core." default:"0" env:"TUTTI_TRANSCODE_PARALLEL"`
	Queue    int           `help:"Transcodes that may wait their turn; more are refused." default:"32" env:"TUTTI_TRANSCODE_QUEUE"`
	Wait     time.Duration `help:"How long one may wait its turn." default:"20s" env:"TUTTI_TRANSCODE_WAIT"`
	FFmpeg   string        `name:"ffmpeg" help:"The ffmpeg program." default:"ffmpeg" env:"TUTTI_TRANSCODE_FFMPEG"`
	FFprobe  string        `name:"ffprobe" help:"The ffprobe program." default:"ffprobe" env:"TUTTI_TRANSCODE_FFPROBE"`
}

type radioSettings struct {
	Private bool `help:"Relay radio stations on this machine and in private networks, too." env:"TUTTI_RADIO_PRIVATE"`
}

type gridSettings struct {
	Feed       string  `help:"Who tells what a kWh of electricity emits: ${enum}." default:"constant" enum:"constant,csv,gb,electricity-maps,watttime,carbon-aware-sdk" env:"TUTTI_GRID_FEED"`
	Intensity  float64 `help:"Grams of CO2 equivalents a kWh emits where nobody tells." default:"445" env:"TUTTI_GRID_INTENSITY"`
	Region     string  `help:"Which part of the grid: a zone, a region, the first half of a postcode, a location; as the feed calls it." env:"TUTTI_GRID_REGION" placeholder:"NAME"`
	File       string  `help:"The file of feed csv: lines of time,g_per_kwh." env:"TUTTI_GRID_FILE" placeholder:"FILE" type:"path"`
	URL        string  `name:"url" help:"Another address of the feed than its own; that of the Carbon Aware SDK." env:"TUTTI_GRID_URL" placeholder:"URL"`
	User       string  `help:"The account's name, for watttime." env:"TUTTI_GRID_USER" placeholder:"NAME"`
	SecretFile string  `help:"File with the feed's key or the account's password; else TUTTI_GRID_SECRET has it." env:"TUTTI_GRID_SECRET_FILE" placeholder:"FILE" type:"path"`
}

// gridSecret is the environment variable with the feed's secret. It is no flag: the command line of a process is for everybody
// on the machine to see.
const gridSecret = "TUTTI_GRID_SECRET"

// check refuses a feed that lacks what it needs.
func (g gridSettings) check() error {
	if !(g.Intensity >= 0 && g.Intensity <= carbon.MaxGrams) {
		return fmt.Errorf("grid: intensity is %v; it is grams per kWh, from 0 to %d", g.Intensity, carbon.MaxGrams)
	}
	needs := map[string]map[string]string{
		"csv":              {"file": g.File},
		"electricity-maps": {"region": g.Region},
		"watttime":         {"region": g.Region, "user": g.User},
		"carbon-aware-sdk": {"url": g.URL},
	}[g.Feed]
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if needs[name] == "" {
			return fmt.Errorf("grid: the feed %s needs %s", g.Feed, name)
		}
	}
	if g.URL != "" {
		if u, err := url.Parse(g.URL); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("grid: url must be an address such as http://127.0.0.1:8080, without a name, a password or a query")
		}
	}
	return nil
}

type logSettings struct {
	Level  string `help:"Least important message to log: ${enum}." default:"info" enum:"debug,info,warn,error" env:"TUTTI_LOG_LEVEL"`
	Format string `help:"Form of the log: ${enum}; auto is text on a terminal and JSON elsewhere." default:"auto" enum:"auto,text,json" env:"TUTTI_LOG_FORMAT"`
}

type traceSettings struct {
	Endpoint string  `help:"OpenTelemetry collector that takes OTLP over HTTP; none by default." env:"TUTTI_TRACE_ENDPOINT" placeholder:"URL"`
	Sample   float64 `help:"Share of requests to trace, 0 to 1." default:"0.01" env:"TUTTI_TRACE_SAMPLE"`
}

// defaultData is where the data folder lies unless told otherwise: the place that the XDG base directory
// specification gives to an application's data.
func defaultData() string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "tutti")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "tutti-data"
	}
	return filepath.Join(home, ".local", "share", "tutti")
}

// musicFolder is one --music value. In tutti.yml it may also be a map with name, path, include and exclude.
type musicFolder struct {
	Name, Path       string // Path is absolute, or s3://BUCKET/PREFIX
	Include, Exclude []string
	S3               *bucket // nil for a folder
}

// bucket is where music lies in an object store.
type bucket struct {
	Bucket, Prefix, Endpoint, Region string
	PathStyle, Anonymous             bool
}

// UnmarshalText reads DIR or NAME=DIR, either followed by ?include=GLOB&exclude=GLOB, which is how maps of the
// configuration file arrive here; or s3://BUCKET/PREFIX, also with region, endpoint, path-style and anonymous.
func (m *musicFolder) UnmarshalText(text []byte) error {
	s := string(text)
	if name, address, ok := strings.Cut(s, "="); ok && !strings.Contains(name, "/") && strings.HasPrefix(address, "s3://") {
		m.Name, s = name, address
	}
	if strings.HasPrefix(s, "s3://") {
		return m.parseBucket(s)
	}
	if head, query, ok := strings.Cut(s, "?"); ok {
		if v, err := url.ParseQuery(query); err == nil && onlyKeys(v, "include", "exclude") {
			s, m.Include, m.Exclude = head, v["include"], v["exclude"]
		}
	}
	if name, path, ok := strings.Cut(s, "="); ok && !strings.Contains(name, "/") {
		m.Name, s = name, path
	}
	if s == "" {
		return fmt.Errorf("a music folder needs a path")
	}
	if home, err := os.UserHomeDir(); err == nil && (s == "~" || strings.HasPrefix(s, "~/")) {
		s = filepath.Join(home, s[1:])
	}
	abs, err := filepath.Abs(s)
	if err != nil {
		return err
	}
	m.Path = abs
	if m.Name == "" {
		m.Name = filepath.Base(abs)
	}
	return nil
}

// parseBucket reads s3://BUCKET/PREFIX?region=R&endpoint=URL&path-style=true&anonymous=true&include=GLOB&exclude=GLOB.
func (m *musicFolder) parseBucket(s string) error {
	// A prefix may hold any character but "?": it is not escaped, as nobody escapes it on a command line.
	rest, query, _ := strings.Cut(strings.TrimPrefix(s, "s3://"), "?")
	q, err := url.ParseQuery(query)
	if err != nil || len(q) > 0 && !onlyKeys(q, "region", "endpoint", "path-style", "anonymous", "include", "exclude") {
		return fmt.Errorf("the bucket %q takes region, endpoint, path-style, anonymous, include and exclude only", s)
	}
	b := &bucket{Endpoint: q.Get("endpoint"), Region: q.Get("region")}
	b.Bucket, b.Prefix, _ = strings.Cut(rest, "/")
	b.Prefix = strings.Trim(b.Prefix, "/")
	if b.Bucket == "" {
		return fmt.Errorf("%q names no bucket; write s3://BUCKET/PREFIX", s)
	}
	for key, field := range map[string]*bool{"path-style": &b.PathStyle, "anonymous": &b.Anonymous} {
		if v := q.Get(key); v != "" {
			if *field, err = strconv.ParseBool(v); err != nil {
				return fmt.Errorf("%s of the bucket %q is %q; write true or false", key, s, v)
			}
		}
	}
	m.S3, m.Include, m.Exclude = b, q["include"], q["exclude"]
	m.Path = "s3://" + b.Bucket
	if b.Prefix != "" {
		m.Path += "/" + b.Prefix
	}
	if m.Name == "" {
		m.Name = path.Base(b.Prefix)
		if b.Prefix == "" {
			m.Name = b.Bucket
		}
	}
	return nil
}

func onlyKeys(v url.Values, allowed ...string) bool {
	for k := range v {
		if !slices.Contains(allowed, k) {
			return false
		}
	}
	return len(v) > 0
}

// byteSize is a number of bytes, written with an optional unit: 512MiB, 10GB, 1.5TiB.
type byteSize int64

var byteUnits = []struct {
	suffix string
	factor float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"K", 1 << 10},
	{"M", 1 << 20},
	{"G", 1 << 30},
	{"T", 1 << 40},
	{"B", 1},
}

// UnmarshalText reads the number and its unit.
func (b *byteSize) UnmarshalText(text []byte) error {
	s, factor := strings.TrimSpace(string(text)), 1.0
	for _, u := range byteUnits {
		if number, ok := strings.CutSuffix(s, u.suffix); ok {
			s, factor = strings.TrimSpace(number), u.factor
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n*factor > math.MaxInt64/2 {
		return fmt.Errorf("%q is not a size; write for example 512MiB or 10GiB", text)
	}
	*b = byteSize(n * factor)
	return nil
}

// fileResolver gives kong the values of a configuration file.
type fileResolver struct {
	name   string
	values map[string]any // by flag name
	lines  map[string]int // of every key, also of those without a value
}

// readConfig parses a configuration file. Its keys are checked against the flags by Validate.
func readConfig(name string) (*fileResolver, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return parseConfig(name, b)
}

// maxConfig is far more than any configuration needs, in bytes.
const maxConfig = 1 << 20

func parseConfig(name string, b []byte) (*fileResolver, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("%s: a configuration of %d bytes is over the limit of %d", name, len(b), maxConfig)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := &fileResolver{name: name, values: map[string]any{}, lines: map[string]int{}}
	if len(doc.Content) == 0 {
		return r, nil
	}
	if err := r.flatten("", doc.Content[0]); err != nil {
		return nil, err
	}
	return r, nil
}

// sections are the keys of the file that hold further keys.
var sections = []string{"scan", "analyse", "enrich", "http", "radio", "fleet", "metadata", "clock", "cache", "transcode", "grid", "carbon", "log", "trace"}

func (r *fileResolver) flatten(prefix string, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: expected keys with values", r.name, n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := prefix + key.Value
		if prefix == "" && slices.Contains(sections, key.Value) {
			if value.Tag == "!!null" { // a section whose every key is commented out
				continue
			}
			if err := r.flatten(name+"-", value); err != nil {
				return err
			}
			continue
		}
		if _, twice := r.lines[name]; twice {
			return fmt.Errorf("%s:%d: %q is set twice", r.name, key.Line, name)
		}
		r.lines[name] = key.Line
		if value.Tag == "!!null" { // a key without a value is the default
			continue
		}
		v, err := r.value(name, value)
		if err != nil {
			return err
		}
		r.values[name] = v
	}
	return nil
}

func (r *fileResolver) value(name string, n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, nil
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := r.value(name, item)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		if name != "music" {
			break
		}
		var m struct {
			Name, Path       string
			Include, Exclude []string
		}
		if err := n.Decode(&m); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", r.name, n.Line, err)
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; !slices.Contains([]string{"name", "path", "include", "exclude"}, k.Value) {
				return nil, fmt.Errorf("%s:%d: a music folder has name, path, include and exclude, not %q", r.name, k.Line, k.Value)
			}
		}
		s := m.Path
		if m.Name != "" {
			s = m.Name + "=" + s
		}
		if q := (url.Values{"include": m.Include, "exclude": m.Exclude}).Encode(); q != "" {
			separator := "?"
			if strings.HasPrefix(m.Path, "s3://") && strings.Contains(m.Path, "?") {
				separator = "&"
			}
			s += separator + q
		}
		return s, nil
	}
	return nil, fmt.Errorf("%s:%d: %q cannot hold keys of its own", r.name, n.Line, name)
}

// Validate refuses keys that no flag has, and says which one may be meant.
func (r *fileResolver) Validate(app *kong.Application) error {
	var known []string
	for _, f := range app.Flags {
		known = append(known, f.Name)
	}
	for name := range r.lines {
		if !slices.Contains(known, name) || name == "config" || name == "help" {
			shown := name
			for _, s := range sections {
				if rest, ok := strings.CutPrefix(name, s+"-"); ok {
					shown = s + ": " + rest
				}
			}
			return fmt.Errorf("%s:%d: there is no setting %q; docs/guide/configure.md lists them", r.name, r.lines[name], shown)
		}
	}
	return nil
}

// Resolve returns the file's value for a flag, or nil.
func (r *fileResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil // the environment wins over the file
		}
	}
	return r.values[flag.Name], nil
}
