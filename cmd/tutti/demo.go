package main

import (
	"context"
	"fmt"

	"tutti/audio/demo"
)

type demoCmd struct {
	Dir string `arg:"" help:"Folder to put the album into." type:"path"`
}

// Run composes the demo album where it is not there yet.
func (c demoCmd) Run(ctx context.Context, std *streams) error {
	bar := newProgress(std, "composing the demo album", "tracks")
	var barErr error
	folder, err := demo.Write(ctx, c.Dir, func(done, total int) { barErr = bar.set(int64(done), int64(total)) })
	if err == nil {
		err = barErr
	}
	if err != nil {
		return err
	}
	if err := bar.end(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, "demo album:", folder)
	return err
}
