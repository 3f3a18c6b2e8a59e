// Package models keeps the metadata models of a fleet: the one that comes with the program, and those that an operator
// has trained, which lie in the shared store under their IDs so that every process finds what it meets. A model is read
// into memory when something that was written with it has to be read, or when it is to be written with; a process that
// needs none has none.
package models

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tutti"
	"tutti/clock"
	"tutti/metacodec"
	"tutti/store"
)

// Where models lie: one item about each, one that says which is used, and the file in pieces under a partition of its own.
const (
	partition   = "models"
	aboutPrefix = "model#"
	piecesPK    = "model#"
	piece       = 320 << 10
	// MaxFile is how long a model's file may be, in bytes; the format's own limit is above it.
	MaxFile = 32 << 20
)

var usedKey = store.Key{PK: partition, SK: "used"}

// About is what is known of a model without having it.
type About = metacodec.About

// about is About as it is stored.
type about struct {
	Name   string    `json:"name"`
	Size   int       `json:"size"`
	Sum    string    `json:"sha256"`
	Added  time.Time `json:"added"`
	Pieces int       `json:"pieces"`
}

type used struct {
	ID string `json:"id"`
}

// Config is what a Models needs.
type Config struct {
	Store  store.Store
	Clock  clock.Clock
	Logger *slog.Logger
	// Follow says that Run has the model ready that is to be written with. Without it, only what was heard of is fetched.
	Follow bool
	// Changed is called when there is another model to read with; nil is nobody.
	Changed func(ctx context.Context)
}

// Models is what one process has of them. Its methods are safe for concurrent use.
type Models struct {
	c   Config
	all *metacodec.Models

	wanted chan metacodec.ModelID

	mu      sync.Mutex
	best    *metacodec.Model // what is written with where the reader has it
	getting map[metacodec.ModelID]*getting
	lacking map[metacodec.ModelID]time.Time // when a model was not to be had
}

// getting is a model on its way.
type getting struct {
	done chan struct{}
	err  error
	left bool // who got it did not wait for it to the end
}

// The pace of Run.
const (
	lookEvery  = 10 * time.Minute // for which model is used
	askAgain   = time.Minute      // for a model that was not to be had
	maxWanted  = 16
	maxLacking = 256
)

// New returns a Models that has nothing in memory yet.
func New(c Config) *Models {
	return &Models{
		c: c, all: new(metacodec.Models), wanted: make(chan metacodec.ModelID, maxWanted),
		getting: map[metacodec.ModelID]*getting{}, lacking: map[metacodec.ModelID]time.Time{},
	}
}

// All is what is in memory.
func (m *Models) All() *metacodec.Models { return m.all }

// Current returns the model that the fleet writes with, nil where it is not here yet.
func (m *Models) Current() *metacodec.Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.best
}

// Best returns the model to write with for somebody who reads these: the one that the fleet uses, or else any that is in
// memory; nil where there is none.
func (m *Models) Best(reads []metacodec.ModelID) *metacodec.Model {
	if best := m.Current(); best != nil && slices.Contains(reads, best.ID()) {
		return best
	}
	for _, id := range reads {
		if model := m.all.Get(id); model != nil {
			return model
		}
	}
	return nil
}

// Want has a model fetched that was heard of, if Run runs; it does not wait.
func (m *Models) Want(id metacodec.ModelID) {
	if m.all.Get(id) != nil {
		return
	}
	m.mu.Lock()
	since, lacks := m.lacking[id]
	m.mu.Unlock()
	if lacks && m.c.Clock.Now().Sub(since) < askAgain {
		return
	}
	select {
	case m.wanted <- id:
	default: // it will be heard of again
	}
}

// Run gets what is wanted, and follows which model is used where Config says so, until ctx ends.
func (m *Models) Run(ctx context.Context) error {
	var (
		look  <-chan time.Time
		timer clock.Timer
	)
	if m.c.Follow {
		m.follow(ctx)
		timer = m.c.Clock.NewTimer(lookEvery)
		defer timer.Stop()
		look = timer.C()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-m.wanted:
			m.try(ctx, id)
		case <-look:
			m.follow(ctx)
			timer.Reset(lookEvery)
		}
	}
}

func (m *Models) try(ctx context.Context, id metacodec.ModelID) {
	if _, err := m.Get(ctx, id); err != nil && ctx.Err() == nil {
		m.c.Logger.WarnContext(ctx, "a metadata model could not be had; metadata comes without it", "model", id.String(), "err", err)
	}
}

// follow sees to it that what the fleet writes with is here.
func (m *Models) follow(ctx context.Context) {
	id, err := m.Used(ctx)
	if err != nil {
		m.c.Logger.WarnContext(ctx, "which metadata model is used could not be read", "err", err)
		id = metacodec.DefaultID()
	}
	model, err := m.Get(ctx, id)
	if err != nil {
		if ctx.Err() == nil {
			m.c.Logger.WarnContext(ctx, "the metadata model that the fleet uses could not be had", "model", id.String(), "err", err)
		}
		return
	}
	m.mu.Lock()
	m.best = model
	m.mu.Unlock()
}

// Used returns the ID of the model that the fleet writes with: the one that comes with the program until another was chosen.
func (m *Models) Used(ctx context.Context) (metacodec.ModelID, error) {
	const op = "models.Used"
	item, err := m.c.Store.Get(ctx, usedKey)
	if tutti.IsKind(err, tutti.KindNotFound) {
		return metacodec.DefaultID(), nil
	}
	if err != nil {
		return metacodec.ModelID{}, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	var u used
	if err := json.Unmarshal(item.Value, &u); err != nil {
		return metacodec.ModelID{}, tutti.Wrap(tutti.KindInternal, op, err)
	}
	return metacodec.ParseModelID(u.ID)
}

// Get returns a model, from memory, from the program or from the store. KindNotFound: there is none of this ID.
func (m *Models) Get(ctx context.Context, id metacodec.ModelID) (*metacodec.Model, error) {
	for {
		if model := m.all.Get(id); model != nil {
			return model, nil
		}
		m.mu.Lock()
		g := m.getting[id]
		if g == nil {
			g = &getting{done: make(chan struct{})}
			m.getting[id] = g
			m.mu.Unlock()
			g.err = m.get(ctx, id)
			g.left = ctx.Err() != nil
			m.mu.Lock()
			delete(m.getting, id)
			m.mu.Unlock()
			close(g.done)
		} else {
			m.mu.Unlock()
			select {
			case <-g.done:
			case <-ctx.Done():
				return nil, tutti.Wrap(tutti.KindUnavailable, "models.Get", ctx.Err())
			}
			if g.err != nil && g.left {
				continue // who got it has gone; that says nothing of the model
			}
		}
		if g.err != nil {
			return nil, g.err
		}
		return m.all.Get(id), nil
	}
}

func (m *Models) get(ctx context.Context, id metacodec.ModelID) error {
	model, err := m.open(ctx, id)
	m.mu.Lock()
	switch {
	case err == nil:
		delete(m.lacking, id)
	case ctx.Err() == nil: // else it was not the model that was lacking
		if len(m.lacking) >= maxLacking {
			clear(m.lacking)
		}
		m.lacking[id] = m.c.Clock.Now()
	}
	m.mu.Unlock()
	if err != nil {
		return err
	}
	m.all.Add(model)
	m.c.Logger.InfoContext(ctx, "a metadata model is in use", "model", id.String(), "name", model.Name(), "memory", model.Memory())
	if m.c.Changed != nil {
		m.c.Changed(ctx)
	}
	return nil
}

func (m *Models) open(ctx context.Context, id metacodec.ModelID) (*metacodec.Model, error) {
	switch id {
	case metacodec.DefaultID():
		return metacodec.Default()
	case metacodec.SmallID():
		return metacodec.Small()
	}
	file, err := m.File(ctx, id)
	if err != nil {
		return nil, err
	}
	return metacodec.Load(bytes.NewReader(file))
}

// Find gets every model whose ID has the tag that a frame carries. KindNotFound: there is none.
func (m *Models) Find(ctx context.Context, tag uint16) error {
	list, err := m.List(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, a := range list {
		if a.ID.Tag() != tag {
			continue
		}
		if _, err := m.Get(ctx, a.ID); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return tutti.Wrap(tutti.KindNotFound, "models.Find", &metacodec.UnknownModelError{Tag: tag})
	}
	return nil
}

func aboutKey(id metacodec.ModelID) store.Key {
	return store.Key{PK: partition, SK: aboutPrefix + id.String()}
}

func pieceKey(id metacodec.ModelID, n int) store.Key {
	return store.Key{PK: piecesPK + id.String(), SK: fmt.Sprintf("%04d", n)}
}

// File returns a model's file, not to be changed: that of the program, or from the store, having checked that it is the
// one. KindNotFound: there is none of this ID.
func (m *Models) File(ctx context.Context, id metacodec.ModelID) ([]byte, error) {
	const op = "models.File"
	if file, ok := metacodec.Within(id); ok {
		return file, nil
	}
	item, err := m.c.Store.Get(ctx, aboutKey(id))
	if tutti.IsKind(err, tutti.KindNotFound) {
		return nil, tutti.Errorf(tutti.KindNotFound, op, "The metadata model %s is not in the store. Put it back: tutti model add FILE.", id)
	}
	if err != nil {
		return nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	var a about
	if err := json.Unmarshal(item.Value, &a); err != nil || a.Size <= 0 || a.Size > MaxFile || a.Pieces != (a.Size+piece-1)/piece {
		return nil, tutti.Errorf(tutti.KindInternal, op, "what the store says of the metadata model %s makes no sense", id)
	}
	file := make([]byte, 0, a.Size)
	for n := range a.Pieces { // one after the other: no partition is asked for more than it gives in a second
		item, err := m.c.Store.Get(ctx, pieceKey(id, n))
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		if len(file)+len(item.Value) > a.Size {
			return nil, tutti.Errorf(tutti.KindInternal, op, "the metadata model %s is longer in the store than it should be", id)
		}
		file = append(file, item.Value...)
	}
	if sum := sha256.Sum256(file); !bytes.Equal(sum[:len(id)], id[:]) {
		return nil, tutti.Errorf(tutti.KindInternal, op, "The metadata model %s is damaged in the store. Put it back: tutti model add FILE.", id)
	}
	return file, nil
}

// Add puts a model into the store, where every process finds it. It may be added again, which mends a damaged one.
func (m *Models) Add(ctx context.Context, file []byte) (About, error) {
	const op = "models.Add"
	if len(file) > MaxFile {
		return About{}, tutti.Errorf(tutti.KindInvalid, op, "a model's file has at most %d bytes", MaxFile)
	}
	model, err := metacodec.Load(bytes.NewReader(file))
	if err != nil {
		return About{}, err
	}
	id := model.ID()
	if _, ok := metacodec.Within(id); ok {
		return About{}, tutti.Errorf(tutti.KindInvalid, op, "%s comes with the program: every process has it", id)
	}
	sum := sha256.Sum256(file)
	a := about{model.Name(), len(file), hex.EncodeToString(sum[:]), m.c.Clock.Now(), (len(file) + piece - 1) / piece}
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for n := range a.Pieces {
		part := file[n*piece : min(len(file), (n+1)*piece)]
		g.Go(func() error {
			_, err := m.c.Store.Put(within, pieceKey(id, n), part, time.Time{}, store.Always)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return About{}, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	value, err := json.Marshal(a)
	if err != nil {
		return About{}, tutti.Wrap(tutti.KindInternal, op, err)
	}
	if _, err := m.c.Store.Put(ctx, aboutKey(id), value, time.Time{}, store.Always); err != nil { // last: now it is there
		return About{}, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	return About{ID: id, Name: a.Name, Size: a.Size, Added: a.Added}, nil
}

// Use says which model the fleet writes with. Processes follow within ten minutes, and write with it for those that
// have told that they read it.
func (m *Models) Use(ctx context.Context, id metacodec.ModelID) error {
	const op = "models.Use"
	if id == metacodec.DefaultID() {
		return tutti.Wrap(tutti.KindUnavailable, op, m.c.Store.Delete(ctx, usedKey, store.Always))
	}
	if _, err := m.File(ctx, id); err != nil {
		return err
	}
	value, err := json.Marshal(used{id.String()})
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	_, err = m.c.Store.Put(ctx, usedKey, value, time.Time{}, store.Always)
	return tutti.Wrap(tutti.KindOf(err), op, err)
}

// List lists the models that there are, those of the program first.
func (m *Models) List(ctx context.Context) ([]About, error) {
	const op = "models.List"
	uses, err := m.Used(ctx)
	if err != nil {
		return nil, err
	}
	var list []About
	for _, own := range []struct {
		id   metacodec.ModelID
		name string
	}{{metacodec.DefaultID(), "of the program"}, {metacodec.SmallID(), "of the program, small"}} {
		file, _ := metacodec.Within(own.id) // it is
		list = append(list, About{ID: own.id, Name: own.name, Size: len(file), Within: true})
	}
	for after := ""; ; {
		page, err := m.c.Store.Query(ctx, partition, aboutPrefix, after, store.MaxPage)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		for _, item := range page.Items {
			id, err := metacodec.ParseModelID(strings.TrimPrefix(item.SK, aboutPrefix))
			var a about
			if err != nil || json.Unmarshal(item.Value, &a) != nil {
				return nil, tutti.Errorf(tutti.KindInternal, op, "what the store says of the metadata model %q makes no sense", item.SK)
			}
			list = append(list, About{ID: id, Name: a.Name, Size: a.Size, Added: a.Added})
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for i := range list {
		list[i].Used = list[i].ID == uses
	}
	return list, nil
}
