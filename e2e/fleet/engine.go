package fleet

import (
	"context"
	"io"
	"os"

	"tutti/store/dynamo/local"
)

// Engine is what stands in for DynamoDB.
type Engine string

// The engines.
const (
	DynamoDBLocal Engine = "DynamoDB Local" // AWS's own, in Java
	Dynalite      Engine = "dynalite"       // an independent one, in JavaScript; in memory, and without expiry
	SQLite        Engine = "sqlite"         // none of them: the first catalogue process shares its own database
)

// startEngine starts the engine that keeps the fleet's table; there is none where a catalogue process keeps it.
func (f *Fleet) startEngine(ctx context.Context, log io.Writer) (*local.Server, error) {
	c := local.Config{Log: log}
	switch {
	case f.config.Engine == SQLite:
		return nil, nil
	case f.config.Engine == Dynalite:
		c.Engine = local.Dynalite
	case !f.config.Memory:
		c.Dir = f.path("dynamodb")
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	return local.Start(ctx, c)
}
