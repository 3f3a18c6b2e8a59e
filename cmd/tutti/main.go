// Command tutti streams a music library to every player its listeners own. See `tutti --help`, and docs/guide.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	mangokong "github.com/alecthomas/mango-kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/muesli/roff"
	"golang.org/x/term"
)

// version is set by the linker.
var version = "unknown"

// program is the command line: the settings that every command shares, and the commands.
type program struct {
	settings

	Serve      serveCmd                  `cmd:"" help:"Serve music: the page, OpenSubsonic apps, and the native API."`
	Scan       scanCmd                   `cmd:"" help:"Look through the music folders once, now."`
	Doctor     doctorCmd                 `cmd:"" help:"Say what is wrong with this installation and how to mend it."`
	User       userCmd                   `cmd:"" help:"List, make, change and remove accounts."`
	Time       clockCmd                  `cmd:"" name:"clock" help:"Say how good this server's time is, and where it comes from."`
	Room       roomCmd                   `cmd:"" help:"Play music on several players in step: list rooms, play, pause, seek, set volumes, move players."`
	Footprint  carbonCmd                 `cmd:"" name:"carbon" help:"Say what listening costs the planet, and what would change most."`
	Backup     backupCmd                 `cmd:"" help:"Write a consistent copy of the data folder, also while the server runs."`
	Restore    restoreCmd                `cmd:"" help:"Put a backup back; what it replaces is kept beside it."`
	Demo       demoCmd                   `cmd:"" help:"Compose a small demo album into a folder."`
	Members    fleetCmd                  `cmd:"" name:"fleet" help:"Make the key of a fleet, and say who is in it."`
	State      storeCmd                  `cmd:"" name:"store" help:"Make the table of a fleet's state."`
	Nginx      nginxCmd                  `cmd:"" help:"Keep nginx in front of a fleet: write its configuration, check it, and reload it as members come and go."`
	Plan       planCmd                   `cmd:"" help:"Say what a fleet for so many listeners takes: machines, network, money, and which limit binds first."`
	Codec      codecCmd                  `cmd:"" help:"Write songs as the small frames that servers exchange, and read them back."`
	Train      trainCmd                  `cmd:"" help:"Make a model of metadata from a collection."`
	Models     modelCmd                  `cmd:"" name:"model" help:"List metadata models, add one that was trained, choose which is used."`
	Settings   settingsCmd               `cmd:"" name:"config" help:"Print the commented configuration file with every setting at its default."`
	Completion kongcompletion.Completion `cmd:"" help:"Print how to switch on completion for bash, zsh or fish."`
	Man        manCmd                    `cmd:"" help:"Print the manual page: tutti man | man -l -"`
	Version    versionCmd                `cmd:"" help:"Print the version."`
}

const description = `Stream your music to every player you own.

Start with: tutti serve --music ~/Music
then open the address that it prints, or point any OpenSubsonic app at it.`

// streams are the process's own, or a test's.
type streams struct {
	in       io.Reader
	out, err io.Writer
	errTTY   bool // a person watches err: progress may move
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once, as nothing handles it any more
	std := &streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, errTTY: term.IsTerminal(int(os.Stderr.Fd()))}
	code := run(ctx, os.Args[1:], std)
	stop()
	os.Exit(code)
}

// run is main without the process around it. It returns the exit status: 0 done, 1 failed, 2 the command line or the
// configuration is wrong.
func run(ctx context.Context, args []string, std *streams) int {
	p := &program{}
	parser, err := newParser(p, std)
	if err != nil {
		fmt.Fprintln(std.err, "tutti:", err)
		return 2
	}
	kongcompletion.Register(parser)
	kctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(std.err, "tutti:", err)
		var parse *kong.ParseError
		if errors.As(err, &parse) {
			fmt.Fprintln(std.err, "try: tutti --help")
		}
		return 2
	}
	kctx.BindTo(ctx, (*context.Context)(nil))
	if err := kctx.Run(&p.settings, std, newLogger(p.settings.Log, std)); err != nil {
		fmt.Fprintln(std.err, "tutti:", explain(err))
		return 1
	}
	return 0
}

// newParser builds the command line, reading the configuration file first: the one that --config or TUTTI_CONFIG
// names, or tutti.yml in the data folder if there is one.
func newParser(p *program, std *streams) (*kong.Kong, error) {
	return kong.New(
		p,
		kong.Name("tutti"),
		kong.Description(description),
		kong.Vars{"data": defaultData(), "snapcast": defaultSnapcast, "snapcastControl": defaultSnapcastControl, "snapcastHTTP": defaultSnapcastHTTP, "sendspin": defaultSendspin, "roles": strings.Join(roles, ",")},
		kong.Writers(std.out, std.err),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, Tree: true}),
		kong.WithBeforeResolve(func(k *kong.Context) error { return addConfigFile(k) }),
	)
}

// addConfigFile finds the configuration file among what flags and environment say and lets it resolve the rest.
func addConfigFile(k *kong.Context) error {
	name, explicit := lookAhead(k, "config", "TUTTI_CONFIG", "")
	if !explicit {
		data, _ := lookAhead(k, "data", "TUTTI_DATA", defaultData())
		name = filepath.Join(data, "tutti.yml")
		if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	r, err := readConfig(name)
	if err != nil {
		return err
	}
	if err := r.Validate(k.Model); err != nil {
		return err
	}
	k.AddResolver(r)
	return nil
}

// lookAhead returns a flag's value from the command line or the environment before kong has applied it.
func lookAhead(k *kong.Context, flag, env, otherwise string) (value string, set bool) {
	for _, p := range k.Path {
		if p.Flag != nil && p.Flag.Name == flag {
			return k.FlagValue(p.Flag).(string), true
		}
	}
	if v := os.Getenv(env); v != "" {
		return v, true
	}
	return otherwise, false
}

func newLogger(s logSettings, std *streams) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.Level)); err != nil {
		level = slog.LevelInfo // kong has checked the value; this cannot be reached from the command line
	}
	o := &slog.HandlerOptions{Level: level}
	if s.Format == "text" || (s.Format == "auto" && std.errTTY) {
		return slog.New(slog.NewTextHandler(std.err, o))
	}
	return slog.New(slog.NewJSONHandler(std.err, o))
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(std *streams) error {
	_, err := fmt.Fprintln(std.out, "tutti", version)
	return err
}

type manCmd struct{}

// Run prints the manual page as roff.
func (manCmd) Run(k *kong.Context, std *streams) error {
	_, err := fmt.Fprint(std.out, mangokong.NewManPage(1, k.Model).Build(roff.NewDocument()))
	return err
}
