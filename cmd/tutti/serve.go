package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"tutti/store/sqlite"
)

type serveCmd struct{}

// Run serves until it is told to stop. It prints the address, alone on its line, once requests are answered.
func (serveCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) (err error) {
	lock, err := lockData(s.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	n := newNode(s, logger)
	stopClock, err := n.keepTime(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close(), stopClock()) }()
	if err := n.build(ctx, s.Role); err != nil {
		return err
	}
	if err := n.server.Listen(ctx); err != nil {
		return err
	}
	if n.members != nil {
		if err := n.members.Ready(ctx); err != nil {
			logger.WarnContext(ctx, "the fleet could not be told that this process is ready; the next sign of life tells it", "err", err)
		}
	}
	if err := n.welcome(ctx, std); err != nil {
		return err
	}
	n.runners = append(n.runners, n.settle)
	return n.run(ctx)
}

// lockData takes the data folder for this process, making it first if need be.
func lockData(data string) (*sqlite.FileLock, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := sqlite.Lock(filepath.Join(data, "server.lock"))
	if err != nil {
		return nil, fmt.Errorf("the data folder %s: %w", data, err)
	}
	return lock, nil
}

// welcome makes the first admin where there is none and prints what a person needs to begin.
func (n *node) welcome(ctx context.Context, std *streams) error {
	if role := n.settings.Role; role == "catalog" || role == "trackcache" {
		for _, address := range n.server.URLs() {
			fmt.Fprintln(std.out, "tutti", role, "ready at", strings.TrimSuffix(address, "/"))
		}
		return nil
	}
	name := os.Getenv("TUTTI_ADMIN_USER")
	if name == "" {
		name = "admin"
	}
	created, password, err := n.accounts.EnsureAdmin(ctx, name, os.Getenv("TUTTI_ADMIN_PASSWORD"))
	if err != nil {
		return err
	}
	if created {
		debug.FreeOSMemory() // hashing the password took 19 MiB that will not be needed again soon
	}
	for _, address := range n.server.URLs() {
		fmt.Fprintln(std.out, "tutti ready at", strings.TrimSuffix(address, "/"))
	}
	switch {
	case created && password != "":
		fmt.Fprintf(std.out, "sign in as %s with the password %s (shown this once; change it on the page or with: tutti user password %s)\n", name, password, name)
	case created:
		fmt.Fprintf(std.out, "sign in as %s with the password from TUTTI_ADMIN_PASSWORD\n", name)
	}
	if len(n.settings.Music) == 0 && n.settings.Role == "all" {
		fmt.Fprintln(std.out, "no music folder is configured: start again with --music DIR")
	}
	return nil
}
