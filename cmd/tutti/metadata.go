package main

import (
	"context"
	"slices"
	"strings"

	"tutti"
	"tutti/catalog"
	"tutti/metacodec"
	"tutti/peer"
	"tutti/peer/models"
)

// makeModels makes the place where this process has its metadata models. Nothing is in memory before it is needed.
func (n *node) makeModels(context.Context) error {
	n.models = models.New(models.Config{
		Store: n.store, Clock: n.clock, Logger: n.logger,
		Follow: n.settings.Metadata.Store == "small" && n.settings.Role != "delivery" || n.wireModelled(), Changed: n.tellReads,
	})
	n.runners = append(n.runners, n.models.Run)
	return nil
}

// wireModelled reports whether messages to other processes go through a model.
func (n *node) wireModelled() bool {
	return n.settings.Metadata.Wire == "small" && (n.settings.Role == "delivery" || n.settings.Role == "catalog")
}

// reads is what this process tells the others that it can read, as tutti.Member.Reads.
func (n *node) reads() string {
	words := []string{tutti.FormPacked}
	for _, id := range n.models.All().IDs() {
		words = append(words, id.String())
	}
	return strings.Join(words, " ")
}

// tellReads tells the others what can be read now.
func (n *node) tellReads(ctx context.Context) {
	if n.members == nil {
		return
	}
	if err := n.members.SetReads(ctx, n.reads()); err != nil {
		n.logger.WarnContext(ctx, "the fleet could not be told which metadata models are here; the next sign of life tells it", "err", err)
	}
}

// wireModels is what the other processes' metadata is read and written with; nil where it is to travel plain.
func (n *node) wireModels() peer.Models {
	switch {
	case n.settings.Metadata.Wire == "plain":
		return nil
	case n.models != nil && n.wireModelled():
		return n.models
	}
	return new(noModels)
}

// noModels has metadata travel small by its layout alone: what a model saves of that costs more than the network does,
// mostly (docs/decisions/metadata-codec.md), and a track cache is told paths and little else.
type noModels struct{ none metacodec.Models }

// All implements peer.Models.
func (n *noModels) All() *metacodec.Models { return &n.none }

// Best implements peer.Models.
func (n *noModels) Best([]metacodec.ModelID) *metacodec.Model { return nil }

// Want implements peer.Models.
func (n *noModels) Want(metacodec.ModelID) {}

// packed reports whether the catalogue may be written packed: everybody who reads it has said that they can. Members that
// are starting count, since they read the catalogue then; those that are gone and come back with an older version are told
// which one to use.
func (n *node) packed() bool {
	switch n.settings.Metadata.Store {
	case "packed", "small":
		return true
	case "plain":
		return false
	}
	if n.members == nil {
		// Alone with its store, or one of several processes that all do everything and share a table without knowing of
		// one another.
		return !n.settings.fleet()
	}
	return n.allRead(tutti.FormPacked)
}

// allRead reports whether every process that reads the catalogue from the store has said that it reads a form.
func (n *node) allRead(form string) bool {
	return !slices.ContainsFunc(n.members.All(), func(m tutti.Member) bool {
		return m.Service == tutti.ServiceCatalog && !m.ReadsAll(form)
	})
}

// journalModels are the models of the catalogue's log and snapshot.
type journalModels struct {
	*models.Models
	n *node
}

// Writing returns the model that texts are stored with, if they are: none before everybody has it.
func (j journalModels) Writing() *metacodec.Model {
	if j.n.settings.Metadata.Store != "small" {
		return nil
	}
	m := j.Current()
	if m == nil || j.n.members != nil && !j.n.allRead(m.ID().String()) {
		return nil
	}
	return m
}

var _ catalog.Models = journalModels{}
