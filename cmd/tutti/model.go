package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"tutti"
	"tutti/metacodec"
	"tutti/peer/models"
)

type modelCmd struct {
	List modelListCmd `cmd:"" help:"Say which metadata models there are, and which is used."`
	Add  modelAddCmd  `cmd:"" help:"Put a model that tutti train has made into the store, where every process finds it."`
	Use  modelUseCmd  `cmd:"" help:"Say which model metadata is written with: running processes follow within ten minutes."`
}

// withModels opens the store and what it has of models.
func withModels(ctx context.Context, s *settings, logger *slog.Logger, do func(*models.Models) error) (err error) {
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.build(ctx, "models"); err != nil {
		return err
	}
	return do(n.models)
}

type modelListCmd struct{}

// Run prints a table.
func (modelListCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	return withModels(ctx, s, logger, func(m *models.Models) error {
		list, err := m.List(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tBYTES\tADDED\tUSED")
		for _, a := range list {
			added, uses := "with the program", ""
			if !a.Within {
				added = a.Added.Format(time.DateTime)
			}
			if a.Used {
				uses = "yes"
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", a.ID, a.Name, a.Size, added, uses)
		}
		return w.Flush()
	})
}

type modelAddCmd struct {
	File string `arg:"" help:"The model's file." type:"existingfile"`
	Use  bool   `help:"Use it from now on."`
}

// Run adds the model.
func (c modelAddCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	f, err := os.Open(c.File)
	if err != nil {
		return tutti.Wrap(tutti.KindNotFound, "tutti model add", err)
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, models.MaxFile+1))
	if err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "tutti model add", err)
	}
	return withModels(ctx, s, logger, func(m *models.Models) error {
		about, err := m.Add(ctx, file)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(std.out, "%s %q is in the store\n", about.ID, about.Name); err != nil || !c.Use {
			return err
		}
		return use(ctx, m, about.ID, std)
	})
}

type modelUseCmd struct {
	ID string `arg:"" help:"The model's ID, as tutti model list shows it."`
}

// Run says which model is used.
func (c modelUseCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	id, err := metacodec.ParseModelID(c.ID)
	if err != nil {
		return err
	}
	return withModels(ctx, s, logger, func(m *models.Models) error { return use(ctx, m, id, std) })
}

func use(ctx context.Context, m *models.Models, id metacodec.ModelID, std *streams) error {
	if err := m.Use(ctx, id); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "%s is used, by each process as soon as all that read what it writes have it\n", id)
	return err
}
