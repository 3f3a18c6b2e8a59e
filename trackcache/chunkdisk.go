package trackcache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/trackcache/policy"
)

// chunkDisk is the tier of chunks on the disk: one file each, written aside and renamed, so that it is there whole or
// not at all, whatever happens to the process. Nothing is synced: what a power failure spoils, its checksum shows.
type chunkDisk struct {
	dir    string
	clock  clock.Clock
	log    *slog.Logger
	create func(path string) (file, error)
	gone   func(tutti.ChunkID, *diskChunk) // told, without mu, of each chunk that made room

	evicted, damaged, refused atomic.Int64

	mu      sync.Mutex
	kept    *policy.S3FIFO[tutti.ChunkID]
	chunks  map[tutti.ChunkID]*diskChunk
	indexed bool // every file is in chunks
	temps   int64
	shut    time.Time // nothing is written before: the disk refused
	failing bool
}

// diskChunk is a chunk that lies on the disk.
type diskChunk struct {
	verified inspection
	used     time.Time // as far as the file's time says
	demand   policy.Demand
	proven   bool // compared with the seal since, whatever its header says
}

// inspection says when bytes on the disk were last compared with their checksum, and when they are to be again. It is
// guarded by whatever guards the bytes' entry.
type inspection struct {
	at    time.Time // zero: not by this process
	opens uint8     // since
}

// due reports whether who opens the bytes now has to compare them. Once they have been compared by this process one of
// those who come at a time does so again.
func (i *inspection) due(now time.Time) bool {
	if i.at.IsZero() {
		return true
	}
	i.opens++
	if i.opens < recheckOpens && now.Sub(i.at) < recheck {
		return false
	}
	i.done(now)
	return true
}

func (i *inspection) done(now time.Time) { *i = inspection{at: now} }

const (
	// recheck is for how long, and recheckOpens for how many opens, a chunk is believed to be what it was when it was
	// compared with its checksum: the more listeners damage would reach, the sooner it is found. To compare costs 0.2 ms of
	// CPU a chunk.
	recheck      = 10 * time.Minute
	recheckOpens = 64
	// shutFor is how long nothing is written after the disk refused, so that a full disk costs one attempt now and then.
	shutFor = 10 * time.Second
)

// openDisk makes the folders. The caller holds the folder's lock.
func openDisk(dir string, maxBytes int64, c clock.Clock, l *slog.Logger) (*chunkDisk, error) {
	const op = "trackcache: open the chunks"
	temp := filepath.Join(dir, "temp")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "chunks"), 0o700), os.RemoveAll(temp), os.Mkdir(temp, 0o700)); err != nil {
		return nil, diskError(op, err)
	}
	return &chunkDisk{
		dir: dir, clock: c, log: l, create: createFile, gone: func(tutti.ChunkID, *diskChunk) {},
		kept: policy.NewS3FIFO[tutti.ChunkID](maxBytes), chunks: map[tutti.ChunkID]*diskChunk{},
	}, nil
}

func (d *chunkDisk) place(id tutti.ChunkID) string {
	return filepath.Join(d.dir, "chunks", id.Object[:2], id.Object+"-"+strconv.FormatInt(id.N, 10))
}

// parseChunkName is the reverse of place's last part.
func parseChunkName(name string) (id tutti.ChunkID, ok bool) {
	object, number, ok := strings.Cut(name, "-")
	raw, err := hex.DecodeString(object)
	if !ok || err != nil || len(raw) != 16 || strings.ToLower(object) != object {
		return id, false
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != number {
		return id, false
	}
	return tutti.ChunkID{Object: object, N: n}, true
}

// has reports whether the chunk lies on the disk, as far as is known without reading it. It counts as no use.
func (d *chunkDisk) has(id tutti.ChunkID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.entry(id) != nil
}

// asked notes that somebody wants a chunk, who may have it from elsewhere.
func (d *chunkDisk) asked(id tutti.ChunkID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept.Hit(id)
}

// entry finds a chunk, also one that the index has not come to yet. d.mu is held.
func (d *chunkDisk) entry(id tutti.ChunkID) *diskChunk {
	e := d.chunks[id]
	if e != nil || d.indexed {
		return e
	}
	fi, err := os.Stat(d.place(id))
	if err != nil || !fi.Mode().IsRegular() {
		return nil
	}
	return d.found(id, fi.Size(), fi.ModTime())
}

// found takes a file of an earlier process in. d.mu is held; what makes room is removed at once, because this happens
// at most once a file.
func (d *chunkDisk) found(id tutti.ChunkID, size int64, used time.Time) *diskChunk {
	e := &diskChunk{used: used}
	d.chunks[id] = e
	for _, old := range d.kept.Restore(id, size) {
		delete(d.chunks, old)
		d.unlink(old)
		d.evicted.Add(1)
	}
	return d.chunks[id]
}

// open opens a chunk, compared with its checksum where that is due, with the file's offset at its bytes. It returns nil where there is none: one that turned
// out to be damaged is there no more.
func (d *chunkDisk) open(id tutti.ChunkID) (*os.File, chunkFile, *diskChunk) {
	now := d.clock.Now()
	d.mu.Lock()
	e := d.entry(id)
	if e == nil {
		d.mu.Unlock()
		return nil, chunkFile{}, nil
	}
	d.kept.Hit(id)
	check := e.verified.due(now)
	stale := now.Sub(e.used) > touch
	if stale {
		e.used = now
	}
	d.mu.Unlock()

	f, c, err := d.read(id, check)
	if err != nil {
		d.spoiled(id, e, err)
		return nil, chunkFile{}, nil
	}
	d.mu.Lock()
	if check {
		e.verified.done(now)
	}
	c.unproven = c.unproven && !e.proven
	d.mu.Unlock()
	if stale {
		if err := os.Chtimes(d.place(id), now, now); err != nil {
			d.log.Debug("the time of last use could not be kept", "err", err)
		}
	}
	return f, c, e
}

func (d *chunkDisk) read(id tutti.ChunkID, check bool) (*os.File, chunkFile, error) {
	f, err := os.Open(d.place(id))
	if err != nil {
		return nil, chunkFile{}, err
	}
	header := make([]byte, chunkHeader)
	if _, err = io.ReadFull(f, header); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: the file ends in its header", errCorrupt)
	}
	var c chunkFile
	if err == nil {
		c, err = parseChunkHeader(chunkMagic, header)
	}
	if err == nil && c.id != id {
		err = fmt.Errorf("%w: the file is of chunk %d of %s", errCorrupt, c.id.N, c.id.Object)
	}
	if err == nil && check {
		sum := crc32.New(castagnoli)
		var n int64
		if n, err = io.Copy(sum, f); err == nil && (n != c.length || sum.Sum32() != c.sum) {
			err = fmt.Errorf("%w: %d bytes, CRC-32C %08x", errCorrupt, n, sum.Sum32())
		}
		if err == nil {
			_, err = f.Seek(chunkHeader, io.SeekStart)
		}
	}
	if err != nil {
		return nil, c, errors.Join(err, f.Close())
	}
	return f, c, nil
}

// spoiled handles a chunk that could not be read: it is dropped, to be filled again, unless the failure is not its own
// (too many open files).
func (d *chunkDisk) spoiled(id tutti.ChunkID, e *diskChunk, err error) {
	if !damaged(err) {
		d.log.Warn("a chunk could not be read", "chunk", id.N, "object", id.Object, "err", err)
		return
	}
	if d.drop(id, e) && !errors.Is(err, fs.ErrNotExist) { // else somebody has tidied up
		d.damaged.Add(1)
		d.log.Warn("a chunk on the disk is damaged and will be filled again", "chunk", id.N, "object", id.Object, "err", err)
	}
}

// drop removes a chunk, if it still is what the caller had, and reports whether it was. A nil e is whichever there is.
func (d *chunkDisk) drop(id tutti.ChunkID, e *diskChunk) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.entry(id)
	if now == nil || e != nil && now != e {
		return false
	}
	delete(d.chunks, id)
	d.kept.Remove(id)
	d.unlink(id)
	return true
}

// unlink removes a file. Whoever has it open keeps it. d.mu is held, so that a chunk that is put again at the same time
// is not removed in place of the old one; removing a name takes microseconds.
func (d *chunkDisk) unlink(id tutti.ChunkID) {
	if err := os.Remove(d.place(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("a chunk could not be removed", "err", err)
	}
}

// prove notes that a chunk's bytes were compared with the seal, or that there is none.
func (d *chunkDisk) prove(e *diskChunk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.proven = true
}

// put keeps a chunk whose bytes were checked, and reports whether it lies on the disk now.
func (d *chunkDisk) put(id tutti.ChunkID, info tutti.ObjectInfo, data []byte, ahead, unproven bool) bool {
	if !fits(info) {
		return false
	}
	now := d.clock.Now()
	d.mu.Lock()
	if d.failing && now.Before(d.shut) {
		d.mu.Unlock()
		d.refused.Add(1)
		return false
	}
	d.temps++
	temp := filepath.Join(d.dir, "temp", strconv.FormatInt(d.temps, 10))
	d.mu.Unlock()
	header, err := chunkFile{id: id, info: info, length: int64(len(data)), sum: crc32.Checksum(data, castagnoli), unproven: unproven}.encode(chunkMagic)
	if err != nil {
		d.log.Warn("a chunk could not be described", "err", err)
		return false
	}
	if !d.room(id, int64(chunkHeader+len(data))) {
		return false
	}
	if err = d.write(temp, header, data); isFull(err) && d.makeRoom(id) && d.room(id, int64(chunkHeader+len(data))) {
		err = d.write(temp, header, data)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		if err = os.Rename(temp, d.place(id)); errors.Is(err, fs.ErrNotExist) {
			if err = os.MkdirAll(filepath.Dir(d.place(id)), 0o700); err == nil {
				err = os.Rename(temp, d.place(id))
			}
		}
	}
	if err != nil || !d.kept.Has(id) { // the second: it had to make room before it was there
		if err != nil {
			d.kept.Remove(id)
			d.refuse(now, err)
		} else {
			d.unlink(id)
		}
		if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Debug("a piece of a chunk could not be removed", "err", err)
		}
		return false
	}
	if d.failing {
		d.failing = false
		d.log.Info("the disk of the track cache takes chunks again")
	}
	d.chunks[id] = &diskChunk{verified: inspection{at: now}, used: now, demand: policy.Demand{Ahead: ahead}}
	return true
}

// room lets others go until n bytes more are within the limit, and reports whether they are.
func (d *chunkDisk) room(id tutti.ChunkID, n int64) bool {
	type left struct {
		id tutti.ChunkID
		e  *diskChunk
	}
	var gone []left
	d.mu.Lock()
	d.kept.Remove(id) // an older one of the same name, which the rename replaces
	delete(d.chunks, id)
	fit := true
	for _, old := range d.kept.Add(id, n) {
		if old == id {
			fit = false
			continue
		}
		gone = append(gone, left{old, d.chunks[old]})
		delete(d.chunks, old)
		d.unlink(old)
	}
	d.mu.Unlock()
	for _, g := range gone {
		d.evicted.Add(1)
		if g.e != nil {
			d.gone(g.id, g.e)
		}
	}
	return fit
}

// makeRoom lets 64 chunks go because the disk is full, whatever the limit says, and reports whether it could. id is what
// room is wanted for.
func (d *chunkDisk) makeRoom(id tutti.ChunkID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept.Remove(id) // it is not there yet, and so would free nothing
	freed := 0
	for tries := 0; tries < 64; tries++ {
		id, ok := d.kept.Victim()
		if !ok {
			break
		}
		if d.chunks[id] != nil { // else one that is being written
			delete(d.chunks, id)
			d.unlink(id)
			d.evicted.Add(1)
			freed++
		}
	}
	return freed > 0
}

// refuse notes that the disk did not take a chunk. It is logged when it begins. d.mu is held.
func (d *chunkDisk) refuse(now time.Time, err error) {
	d.refused.Add(1)
	d.shut = now.Add(shutFor)
	if !d.failing {
		d.failing = true
		d.log.Error("the disk of the track cache takes no chunks; music goes on from memory, the other members and the origin", "err", err)
	}
}

func (d *chunkDisk) write(path string, header, data []byte) error {
	f, err := d.create(path)
	if err != nil {
		return err
	}
	if _, err = f.Write(header); err == nil {
		_, err = f.Write(data)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// usage returns what lies on the disk.
func (d *chunkDisk) usage() (bytes int64, chunks int, failing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept.Bytes(), len(d.chunks), d.failing
}

// tidy removes what is no chunk.
func (d *chunkDisk) tidy(path string) {
	if err := os.RemoveAll(path); err != nil {
		d.log.Warn("the track cache could not remove what is no chunk", "path", path, "err", err)
		return
	}
	d.log.Warn("the track cache removed what is no chunk", "path", path)
}

// index finds the chunks on the disk, the longest unused first in the order of leaving. What is no chunk is removed:
// the folder is ours.
func (d *chunkDisk) index(ctx context.Context) error {
	const op = "trackcache: index the chunks"
	type file struct {
		id   tutti.ChunkID
		size int64
		used time.Time
	}
	var all []file
	root := filepath.Join(d.dir, "chunks")
	shelves, err := os.ReadDir(root)
	if err != nil {
		return diskError(op, err)
	}
	for _, shelf := range shelves {
		if ctx.Err() != nil {
			return nil
		}
		if !shelf.IsDir() {
			d.tidy(filepath.Join(root, shelf.Name()))
			continue
		}
		entries, err := os.ReadDir(filepath.Join(root, shelf.Name()))
		if err != nil {
			return diskError(op, err)
		}
		for _, e := range entries {
			path := filepath.Join(root, shelf.Name(), e.Name())
			id, ok := parseChunkName(e.Name())
			if !ok || d.place(id) != path || !e.Type().IsRegular() {
				d.tidy(path)
				continue
			}
			fi, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // it made room meanwhile
			}
			if err != nil {
				return diskError(op, err)
			}
			all = append(all, file{id, fi.Size(), fi.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return a.used.Compare(b.used) })
	for batch := range slices.Chunk(all, 1000) { // those who read meanwhile wait for a thousand at most
		d.mu.Lock()
		for _, f := range batch {
			if d.chunks[f.id] == nil && !d.kept.Has(f.id) { // else it is there already, or is being written
				d.found(f.id, f.size, f.used)
			}
		}
		d.mu.Unlock()
	}
	d.mu.Lock()
	d.indexed = true
	d.mu.Unlock()
	return nil
}
