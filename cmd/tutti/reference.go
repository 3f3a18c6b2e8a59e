package main

import (
	_ "embed" // for tutti.yml
	"io"
)

// reference is the commented configuration with every setting at its default; a test holds it to the flags.
//
//go:embed tutti.yml
var reference string

type settingsCmd struct{}

// Run prints the reference, so that `tutti config > tutti.yml` is a start.
func (settingsCmd) Run(std *streams) error {
	_, err := io.WriteString(std.out, reference)
	return err
}
