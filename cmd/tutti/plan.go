package main

import "tutti/deploy/capacity"

type planCmd struct {
	capacity.Question `embed:""`

	JSON bool `help:"Print JSON, with every figure that the plan was made from."`
}

// Run says what a fleet for so many listeners takes.
func (c planCmd) Run(std *streams) error { return capacity.Answer(std.out, c.Question, c.JSON) }
