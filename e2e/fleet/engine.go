package fleet

import (
	"context"
	"net/url"
	"os"
	"strconv"

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

// startEngine starts the engine that keeps the fleet's table, the first time or again at its address; there is none
// where a catalogue process keeps the state.
func (f *Fleet) startEngine(ctx context.Context) error {
	c := local.Config{Log: f.engineLog}
	switch {
	case f.config.Engine == SQLite:
		return nil
	case f.config.Engine == Dynalite:
		c.Engine = local.Dynalite
	case !f.config.Memory:
		c.Dir = f.path("dynamodb")
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return err
		}
	}
	if f.engine != nil {
		u, err := url.Parse(f.engine.URL)
		if err != nil {
			return err
		}
		if c.Port, err = strconv.Atoi(u.Port()); err != nil {
			return err
		}
		f.engine.Stop()
	}
	s, err := local.Start(ctx, c)
	if err != nil {
		return err
	}
	f.parts.Lock()
	defer f.parts.Unlock()
	f.engine = s
	return nil
}
