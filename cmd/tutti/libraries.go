package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tutti"
	"tutti/store"
)

// knownLibrary is a music folder that is or was configured. What accounts may see and what the catalogue knows goes by
// its id, so the id stays with the folder whatever the order of the settings, and is never given to another one.
type knownLibrary struct {
	ID   int    `json:"id"` // from 1; clients of OpenSubsonic want a number
	Name string `json:"name"`
	Path string `json:"path"`
}

var librariesKey = store.Key{PK: "settings", SK: "libraries"}

// identify returns the id of each folder, and what is known from now on. A folder is one that is known if its path is;
// else, so that a drive may be mounted elsewhere, if its name is and no other folder has that one's path; else it is new.
func identify(known []knownLibrary, folders []musicFolder) (ids []int, after []knownLibrary) {
	after = slices.Clone(known)
	ids = make([]int, len(folders))
	taken := make(map[int]bool, len(folders))
	match := func(same func(*knownLibrary, *musicFolder) bool) {
		for i := range folders {
			for k := range after {
				if ids[i] == 0 && !taken[after[k].ID] && same(&after[k], &folders[i]) {
					ids[i] = after[k].ID
					taken[ids[i]] = true
					after[k].Name, after[k].Path = folders[i].Name, folders[i].Path
				}
			}
		}
	}
	match(func(k *knownLibrary, f *musicFolder) bool { return k.Path == f.Path })
	match(func(k *knownLibrary, f *musicFolder) bool { return k.Name == f.Name })
	highest := 0
	for _, k := range after {
		highest = max(highest, k.ID)
	}
	for i, f := range folders {
		if ids[i] == 0 {
			highest++
			ids[i] = highest
			after = append(after, knownLibrary{ID: highest, Name: f.Name, Path: f.Path})
		}
	}
	return ids, after
}

// libraryIDs returns the ids of the configured folders, and keeps those of new ones. Processes of a fleet that start at
// the same moment may all want to: whoever was not first reads again.
func (n *node) libraryIDs(ctx context.Context) ([]int, error) {
	for {
		ids, err := n.tryLibraryIDs(ctx)
		if !tutti.IsKind(err, tutti.KindConflict) {
			return ids, err
		}
	}
}

func (n *node) tryLibraryIDs(ctx context.Context) ([]int, error) {
	var known []knownLibrary
	cond := store.IfAbsent
	item, err := n.store.Get(ctx, librariesKey)
	switch {
	case err == nil:
		cond = store.IfVersion(item.Version)
		if err := json.Unmarshal(item.Value, &known); err != nil {
			return nil, fmt.Errorf("read which music folders are known: %w", err)
		}
	case !tutti.IsKind(err, tutti.KindNotFound):
		return nil, err
	}
	ids, after := identify(known, n.settings.Music)
	if slices.Equal(known, after) {
		return ids, nil
	}
	value, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	if _, err := n.store.Put(ctx, librariesKey, value, time.Time{}, cond); err != nil {
		return nil, fmt.Errorf("keep which music folders are known: %w", err)
	}
	return ids, nil
}
