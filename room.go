package tutti

import (
	"context"
	"time"
)

// Room is a queue that several players play together, the same sample at the same instant.
type Room struct {
	ID       ID
	Name     string
	Playing  bool
	Tracks   []ID
	Current  int           // index into Tracks; -1 when empty
	Position time.Duration // in the current track, of what is to be heard now
	Repeat   Repeat
	Volume   int // 0 to 100; each player's own volume is a part of it
	Muted    bool
	Players  []RoomPlayer
	Problem  string // why it does not play, for a person; "" where it does
	Undo     bool   // a queue was replaced that may be had back
}

// Repeat says what follows a room's last track.
type Repeat string

// The ways to repeat.
const (
	RepeatOff Repeat = "off"
	RepeatAll Repeat = "all"
	RepeatOne Repeat = "one"
)

// RoomPlayer is something that makes sound in a room.
type RoomPlayer struct {
	ID        string // what it calls itself: an address of its network card, or a random name it keeps
	Name      string
	Kind      string // the protocol: "snapcast", "sendspin", or "web" for a page in a browser
	Room      ID
	Connected bool
	Address   string // where it connected from
	Volume    int    // 0 to 100
	Muted     bool
	Latency   time.Duration // what it takes from the stamp to the sound, besides what it knows itself; 0 to 10 s, or less than 0
	Seen      time.Time     // when it was last connected
}

// RoomStep is how far off a player says that it is.
type RoomStep struct {
	Player string
	At     time.Time     // when it said so
	Error  time.Duration // from when a sample was due to when it was heard: positive is late
	Bound  time.Duration // the most that its idea of the time can be wrong by, whatever the network does
}

// RoomNews is what a watcher of the rooms is told.
type RoomNews struct {
	Rooms   []Room // all of them, as they are; nil where nothing has changed
	Changed bool   // Rooms is told
	Steps   []RoomStep
}

// RoomGuest is a player that connects through the API.
type RoomGuest struct {
	Room    ID     // that it wants to play in
	Player  string // by which it is known from one connection to the next: 1 to 200 bytes of printable ASCII
	Name    string // to begin with; people may give it another
	Address string
	Formats []string // that it can play, the best first: "flac", "pcm"
}

// RoomPlay is what a room is to play.
type RoomPlay struct {
	Tracks   []ID
	Current  int
	Position time.Duration
	Paused   bool
}

// RoomChange changes what is not nil.
type RoomChange struct {
	Name   *string
	Volume *int
	Muted  *bool
	Repeat *Repeat
}

// RoomPlayerChange changes what is not nil.
type RoomPlayerChange struct {
	Name    *string
	Room    *ID
	Volume  *int
	Muted   *bool
	Latency *time.Duration
}

// Rooms plays music in step. Everybody who may stream may use every room: a room belongs to a household, not to a person.
// What does not exist is KindNotFound, a value out of its range KindInvalid. What is acknowledged outlives the process.
type Rooms interface {
	Rooms(ctx context.Context, v Viewer) ([]Room, error)
	Room(ctx context.Context, v Viewer, id ID) (Room, error)
	CreateRoom(ctx context.Context, v Viewer, name string) (Room, error)
	ChangeRoom(ctx context.Context, v Viewer, id ID, c RoomChange) (Room, error)
	// DeleteRoom moves its players to the first of the other rooms; the last room is KindConflict.
	DeleteRoom(ctx context.Context, v Viewer, id ID) error
	// PlayRoom replaces the room's queue. Tracks are heard by everybody there, so v must see them: others are KindNotFound.
	PlayRoom(ctx context.Context, v Viewer, id ID, p RoomPlay) (Room, error)
	// UndoRoom puts the queue back that was replaced last, where it was, and goes on playing if the room does; another
	// UndoRoom undoes that. KindConflict where there is none.
	UndoRoom(ctx context.Context, v Viewer, id ID) (Room, error)
	// PauseRoom and ResumeRoom are no error where there is nothing to do.
	PauseRoom(ctx context.Context, v Viewer, id ID) (Room, error)
	ResumeRoom(ctx context.Context, v Viewer, id ID) (Room, error)
	// SeekRoom goes to a place in an entry of the queue, playing or not as before.
	SeekRoom(ctx context.Context, v Viewer, id ID, current int, position time.Duration) (Room, error)
	// AppendRoom adds to the end of the queue.
	AppendRoom(ctx context.Context, v Viewer, id ID, tracks []ID) (Room, error)
	// ArrangeRoom makes the queue another: tracks removed, added, or in another order. current is where the track stands that
	// plays, which goes on without a break; where another stands there, that is begun.
	ArrangeRoom(ctx context.Context, v Viewer, id ID, tracks []ID, current int) (Room, error)
	ChangeRoomPlayer(ctx context.Context, v Viewer, player string, c RoomPlayerChange) (RoomPlayer, error)
	// WatchRooms tells what there is: all rooms at once, with what players said of themselves in the last minutes; then every
	// change, at most four times a second. It ends with ctx, with the rooms, or with fn's first error, which it returns.
	WatchRooms(ctx context.Context, v Viewer, fn func(RoomNews) error) error
	// ForgetRoomPlayer removes one that is not connected; KindConflict for one that is.
	ForgetRoomPlayer(ctx context.Context, v Viewer, player string) error
}

// PairMethod is how a player that encrypts shows that it is the one that is meant.
type PairMethod string

// The methods.
const (
	PairByToken     PairMethod = "token"      // a long secret that the player's own program shows
	PairByShownCode PairMethod = "shown-code" // digits that the player shows or says when it is asked to
	PairByFixedCode PairMethod = "fixed-code" // digits that the player came with
)

// RoomPairing is what a player that encrypts and this server know of one another.
type RoomPairing struct {
	Player    string
	Name      string
	Connected bool
	Paired    bool
	Methods   []PairMethod // in which it can be paired now
	Ready     bool         // the player waits for its code to be entered here
	Note      string       // what the player wants people to know, in its own words: not to be trusted
}

// RoomPairings lets players in that encrypt, for good.
type RoomPairings interface {
	// Pairings lists the players that are connected and encrypt, and those that were paired.
	Pairings(ctx context.Context, v Viewer) ([]RoomPairing, error)
	// Pair takes a step: without a secret the player is asked to show its code or to take the one that it has, with one
	// (the code, or a token) the pairing goes on to its end. A token alone says which player is meant. Only admins may; a
	// secret that is wrong is KindInvalid, a player that is not there KindNotFound.
	Pair(ctx context.Context, v Viewer, player, secret string) (RoomPairing, error)
	// Unpair forgets a pairing.
	Unpair(ctx context.Context, v Viewer, player string) error
}
