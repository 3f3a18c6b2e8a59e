package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"tutti"
)

type userCmd struct {
	List     userListCmd     `cmd:"" help:"List accounts."`
	Add      userAddCmd      `cmd:"" help:"Make an account. The password is asked for, or read from a pipe."`
	Password userPasswordCmd `cmd:"" help:"Change a password; the account's sessions end."`
	Roles    userRolesCmd    `cmd:"" help:"Replace what an account may do."`
	Remove   userRemoveCmd   `cmd:"" help:"Remove an account. Its playlists and stars go with it."`
	Key      userKeyCmd      `cmd:"" help:"List, make and revoke app keys."`
}

// defaultRoles is what a new account may do unless told otherwise.
var defaultRoles = []tutti.Role{tutti.RoleStream, tutti.RoleDownload, tutti.RolePlaylist, tutti.RoleShare, tutti.RoleCover, tutti.RoleComment}

var allRoles = append([]tutti.Role{tutti.RoleAdmin}, defaultRoles...)

// withAccounts opens the data folder's accounts for one command; the server may be running meanwhile.
func withAccounts(ctx context.Context, s *settings, logger *slog.Logger, fn func(tutti.Accounts) error) (err error) {
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.build(ctx, "accounts"); err != nil {
		return err
	}
	return fn(n.accounts)
}

type userListCmd struct{}

// Run prints a table of accounts.
func (userListCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	return withAccounts(ctx, s, logger, func(a tutti.Accounts) error {
		users, err := a.Users(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tROLES\tLIBRARIES\tMAX KBIT/S\tCREATED")
		for _, u := range users {
			libraries, limit := "all", "-"
			if u.Libraries != nil {
				libraries = strings.Join(u.Libraries, ",")
			}
			if u.MaxBitRate > 0 {
				limit = fmt.Sprint(u.MaxBitRate)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Name, joinRoles(u.Roles), libraries, limit, u.Created.Format("2006-01-02"))
		}
		return w.Flush()
	})
}

func joinRoles(roles []tutti.Role) string {
	s := make([]string, len(roles))
	for i, r := range roles {
		s[i] = string(r)
	}
	return strings.Join(s, ",")
}

func parseRoles(names []string) ([]tutti.Role, error) {
	roles := make([]tutti.Role, 0, len(names))
	for _, name := range names {
		if !slices.Contains(allRoles, tutti.Role(name)) {
			return nil, fmt.Errorf("there is no role %q; the roles are %s", name, joinRoles(allRoles))
		}
		roles = append(roles, tutti.Role(name))
	}
	return roles, nil
}

type userAddCmd struct {
	Name  string   `arg:"" help:"What they sign in with."`
	Roles []string `help:"What they may do: admin, stream, download, playlist, share, cover, comment." default:"stream,download,playlist,share,cover,comment"`
	Email string   `help:"E-mail address."`
}

// Run makes the account.
func (c userAddCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	roles, err := parseRoles(c.Roles)
	if err != nil {
		return err
	}
	password, err := askPassword(std, "password for "+c.Name)
	if err != nil {
		return err
	}
	return withAccounts(ctx, s, logger, func(a tutti.Accounts) error {
		u, err := a.CreateUser(ctx, tutti.User{Name: c.Name, Email: c.Email, Roles: roles}, password)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.out, "added %s (%s)\n", u.Name, joinRoles(u.Roles))
		return err
	})
}

type userPasswordCmd struct {
	Name string `arg:"" help:"Whose."`
}

// Run changes the password.
func (c userPasswordCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	password, err := askPassword(std, "new password for "+c.Name)
	if err != nil {
		return err
	}
	return withAccounts(ctx, s, logger, func(a tutti.Accounts) error {
		if err := a.SetPassword(ctx, c.Name, password); err != nil {
			return err
		}
		_, err := fmt.Fprintln(std.out, "changed; sessions of", c.Name, "are signed out")
		return err
	})
}

type userRolesCmd struct {
	Name  string   `arg:"" help:"Whose."`
	Roles []string `arg:"" help:"The roles from now on."`
}

// Run replaces the roles.
func (c userRolesCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	roles, err := parseRoles(c.Roles)
	if err != nil {
		return err
	}
	return withAccounts(ctx, s, logger, func(a tutti.Accounts) error {
		u, err := a.User(ctx, c.Name)
		if err != nil {
			return err
		}
		u.Roles = roles
		if u, err = a.UpdateUser(ctx, u); err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.out, "%s may now: %s\n", u.Name, joinRoles(u.Roles))
		return err
	})
}

type userRemoveCmd struct {
	Name string `arg:"" help:"Whose."`
}

// Run removes the account.
func (c userRemoveCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	return withAccounts(ctx, s, logger, func(a tutti.Accounts) error {
		if err := a.DeleteUser(ctx, c.Name); err != nil {
			return err
		}
		_, err := fmt.Fprintln(std.out, "removed", c.Name)
		return err
	})
}

type userKeyCmd struct {
	List   keyListCmd   `cmd:"" help:"List an account's app keys."`
	Add    keyAddCmd    `cmd:"" help:"Make an app key; it is shown once."`
	Revoke keyRevokeCmd `cmd:"" help:"Revoke an app key by its id."`
}

type keyListCmd struct {
	User string `arg:"" help:"Whose."`
}

// Run prints a table of app keys.
func (c keyListCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	return withAccounts(ctx, s, logger, func(a tutti.Accounts) error {
		u, err := a.User(ctx, c.User)
		if err != nil {
			return err
		}
		keys, err := a.AppKeys(ctx, u.ID)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tCREATED\tLAST USED")
		for _, k := range keys {
			used := "never"
			if !k.LastUsed.IsZero() {
				used = k.LastUsed.Format("2006-01-02 15:04")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Created.Format("2006-01-02"), used)
		}
		return w.Flush()
	})
}

type keyAddCmd struct {
	User string `arg:"" help:"Whose."`
	Name string `arg:"" help:"What the key is for, such as the app's name."`
}

// Run makes an app key and prints its secret, alone on its line.
func (c keyAddCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	return withAccounts(ctx, s, logger, func(a tutti.Accounts) error {
		u, err := a.User(ctx, c.User)
		if err != nil {
			return err
		}
		_, secret, err := a.CreateAppKey(ctx, u.ID, c.Name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.out, secret)
		return err
	})
}

type keyRevokeCmd struct {
	User string `arg:"" help:"Whose."`
	ID   string `arg:"" help:"The key's id, from the list."`
}

// Run revokes an app key.
func (c keyRevokeCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	return withAccounts(ctx, s, logger, func(a tutti.Accounts) error {
		u, err := a.User(ctx, c.User)
		if err != nil {
			return err
		}
		if err := a.RevokeAppKey(ctx, u.ID, c.ID); err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.out, "revoked", c.ID)
		return err
	})
}

// askPassword asks twice on a terminal, without showing what is typed, and reads one line from a pipe.
func askPassword(std *streams, prompt string) (string, error) {
	if f, ok := std.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		read := func(p string) (string, error) {
			fmt.Fprint(std.err, p+": ")
			b, err := term.ReadPassword(int(f.Fd()))
			fmt.Fprintln(std.err)
			return string(b), err
		}
		first, err := read(prompt)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		second, err := read("once more")
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if first != second {
			return "", errors.New("the two passwords differ; nothing was changed")
		}
		return first, nil
	}
	line, err := bufio.NewReader(io.LimitReader(std.in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
