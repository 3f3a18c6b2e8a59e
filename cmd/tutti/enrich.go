package main

import (
	"context"

	"tutti"
	"tutti/enrich"
	"tutti/metacodec"
)

// makeEnrich makes what suggests how to mend tags. Where the library is in this process it is looked through when electricity is
// clean; the processes at the edge list and decide.
func (n *node) makeEnrich(context.Context) error {
	amender, ok := n.catalog.(tutti.Amender)
	if !ok {
		return nil
	}
	c := enrich.Config{Store: n.store, Amender: amender, Clock: n.clock, Logger: n.logger, Apply: n.settings.Enrich.Apply}
	if n.ownCatalog != nil && n.settings.Enrich.Suggest {
		c.Tagged, c.Watcher, c.Jobs = n.ownCatalog, n.ownCatalog, n.jobs
		c.Model = func() (enrich.Scorer, error) { return metacodec.Default() }
	}
	d, err := enrich.New(c)
	if err != nil {
		return err
	}
	n.desk = d
	if c.Tagged != nil {
		n.runners = append(n.runners, d.Run)
	}
	return nil
}
