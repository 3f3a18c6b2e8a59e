package sendspin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/flynn/noise"

	"tutti/clock"
)

// link carries whole messages between here and a client: in the clear, or in the Noise transport messages of a session.
// One goroutine reads; any may send.
type link struct {
	ws    *websocket.Conn
	clock clock.Clock
	life  context.Context // of the connection
	in    chan frame      // what was read, as it came; closed at the end, after fault
	fault error

	mu      sync.Mutex // held while a message is sent, so that a session counts them as they go
	dialect dialect
	session *session // nil in the clear

	// The reader's: a message of which not all fragments are there yet.
	whole    []byte
	wholeOf  byte
	gathered bool
}

// sealed reports whether the link is encrypted.
func (l *link) sealed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session != nil
}

// frame is a WebSocket message, and when it was there.
type frame struct {
	text bool
	data []byte
	at   time.Time
}

// session is what a Noise handshake leaves: the keys of both ways, and what it is known by.
type session struct {
	out, in *noise.CipherState
	hash    []byte
	suite   noise.CipherSuite
	key     keyKind
}

// keyKind is what the pre-shared key of a session is.
type keyKind string

// The kinds, as noise/handshake spells them (spec, connection.md, Pre-Shared Key).
const (
	longTerm keyKind = "lt"
	pairing  keyKind = "pr"
	sentinel keyKind = "sn"
)

// sentinelKey is the published key of those who share no secret (spec, connection.md, Pre-Shared Key).
var sentinelKey = func() []byte { k := sha256.Sum256([]byte("sendspin-sentinel-psk-v1")); return k[:] }()

// keyName is how a pre-shared key is referred to.
func keyName(key []byte) string {
	h := sha256.New()
	h.Write([]byte("sendspin-psk-id-v1"))
	h.Write(key)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

const (
	// handshakeStep is how long the other side may take for each message until its greeting.
	handshakeStep = 30 * time.Second
	// stall is how long a client may take nothing of what is sent to it: more would be heard too late.
	stall = 5 * time.Second
)

// newLink takes a connection over, whose life ctx is.
func newLink(ctx context.Context, ws *websocket.Conn, c clock.Clock) *link {
	ws.SetReadLimit(maxTransport + 1)
	return &link{ws: ws, clock: c, life: ctx, in: make(chan frame)}
}

// pump reads until the connection or ctx ends.
func (l *link) pump() {
	defer close(l.in)
	for {
		kind, data, err := l.ws.Read(l.life)
		if err != nil {
			l.fault = err
			return
		}
		select {
		case l.in <- frame{kind == websocket.MessageText, data, l.clock.Now()}:
		case <-l.life.Done():
			l.fault = l.life.Err()
			return
		}
	}
}

// next is the next frame within a time.
func (l *link) next(ctx context.Context, within time.Duration) (frame, error) {
	timer := l.clock.NewTimer(within)
	defer timer.Stop()
	select {
	case f, ok := <-l.in:
		if !ok {
			return frame{}, l.fault
		}
		return f, nil
	case <-timer.C():
		return frame{}, fmt.Errorf("it said nothing for %v", within)
	case <-ctx.Done():
		return frame{}, ctx.Err()
	}
}

// message is what a client said, out of its frames.
type message struct {
	id   byte // jsonBody for JSON
	body []byte
	at   time.Time
}

// open returns the message that a frame completes. More is false where fragments are still to come.
func (l *link) open(f frame) (m message, complete bool, err error) {
	if l.session == nil {
		if f.text {
			return message{jsonBody, f.data, f.at}, true, nil
		}
		if len(f.data) == 0 {
			return message{}, false, errors.New("an empty message")
		}
		return message{f.data[0], f.data[1:], f.at}, true, nil
	}
	if f.text {
		return message{}, false, errors.New("clear text where everything is encrypted")
	}
	b, err := l.session.in.Decrypt(nil, nil, f.data)
	if err != nil {
		return message{}, false, fmt.Errorf("a message that was not encrypted by the other side: %w", err)
	}
	return l.assemble(b, f.at)
}

// assemble puts fragments together.
func (l *link) assemble(b []byte, at time.Time) (message, bool, error) {
	if len(b) == 0 {
		return message{}, false, errors.New("an empty message")
	}
	var begins, last bool
	switch {
	case l.dialect == first && (b[0] == fragmentMore || b[0] == fragmentLast):
		begins, last = !l.gathered, b[0] == fragmentLast
		if begins && last {
			return message{}, false, errors.New("the last fragment of nothing")
		}
		b = b[1:]
	case l.dialect == current && b[0] == fragment:
		const isLast, isFirst = 1, 2
		if len(b) < 2 || b[1]&^(isLast|isFirst) != 0 {
			return message{}, false, errors.New("a fragment with unknown flags")
		}
		begins, last = b[1]&isFirst != 0, b[1]&isLast != 0
		if begins == l.gathered {
			return message{}, false, errors.New("a fragment out of its order")
		}
		b = b[2:]
	case l.gathered:
		return message{}, false, errors.New("a message amid the fragments of another")
	default:
		return message{b[0], b[1:], at}, true, nil
	}
	if begins {
		if len(b) == 0 || b[0] == fragment || l.dialect == first && (b[0] == fragmentMore || b[0] == fragmentLast) {
			return message{}, false, errors.New("fragments of fragments")
		}
		l.gathered, l.wholeOf, l.whole, b = true, b[0], nil, b[1:]
	}
	if len(l.whole)+len(b) > maxMessage {
		return message{}, false, fmt.Errorf("a message of more than %d bytes", maxMessage)
	}
	l.whole = append(l.whole, b...)
	if !last {
		return message{}, false, nil
	}
	m := message{l.wholeOf, l.whole, at}
	l.gathered, l.whole = false, nil
	return m, true, nil
}

// seal is the frames' contents that carry a message in a session's dialect.
func fragments(d dialect, plaintext []byte) [][]byte {
	if len(plaintext) <= maxPlaintext {
		return [][]byte{plaintext}
	}
	var out [][]byte
	for begins := true; len(plaintext) > 0; begins = false {
		// The first fragment carries the type of the whole, which is the plaintext's first byte.
		head := []byte{fragment, 0}
		if d == first {
			head = []byte{fragmentMore}
		}
		n := min(len(plaintext), maxPlaintext-len(head))
		last := n == len(plaintext)
		switch {
		case d == first && last:
			head[0] = fragmentLast
		case d != first:
			if last {
				head[1] |= 1
			}
			if begins {
				head[1] |= 2
			}
		}
		out = append(out, append(head, plaintext[:n]...))
		plaintext = plaintext[n:]
	}
	return out
}

// send sends a message that is made at the last moment, when it is this one's turn: it may tell the time of its sending.
func (l *link) send(ctx context.Context, id byte, make func(now time.Time) []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sendHeld(ctx, id, make(l.clock.Now()))
}

// sendHeld is send for who holds mu. What has begun to be sent is sent, whatever becomes of ctx: a session counts it.
func (l *link) sendHeld(ctx context.Context, id byte, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(l.life, stall)
	defer cancel()
	if l.session == nil {
		if id == jsonBody {
			return l.ws.Write(ctx, websocket.MessageText, body)
		}
		return l.ws.Write(ctx, websocket.MessageBinary, append([]byte{id}, body...))
	}
	for _, plaintext := range fragments(l.dialect, append([]byte{id}, body...)) {
		sealed, err := l.session.out.Encrypt(nil, nil, plaintext)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		if err := l.ws.Write(ctx, websocket.MessageBinary, sealed); err != nil {
			return err
		}
	}
	return nil
}

// say sends a JSON message.
func (l *link) say(ctx context.Context, kind string, payload any) error {
	return l.send(ctx, jsonBody, func(time.Time) []byte { return encode(kind, payload) })
}

// sayAt sends a JSON message with the time of its sending in it.
func (l *link) sayAt(ctx context.Context, kind string, payload func(now int64) any) error {
	return l.send(ctx, jsonBody, func(now time.Time) []byte { return encode(kind, payload(now.UnixMicro())) })
}

func encode(kind string, payload any) []byte {
	b, err := json.Marshal(struct {
		Type    string `json:"type"`
		Payload any    `json:"payload"`
	}{kind, payload})
	if err != nil {
		panic(err) // the payloads are this package's own, of types that always marshal
	}
	return b
}

// suites are those that clients may choose from.
var suites = map[string]noise.CipherSuite{
	"25519_ChaChaPoly_SHA256": noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256),
	"25519_AESGCM_SHA256":     noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256),
}

// handshake is one run of Noise_KKpsk2, of which the server is the initiator.
type handshake struct {
	state *noise.HandshakeState
	suite noise.CipherSuite
	key   []byte
	kind  keyKind
}

// shakeHands begins a run and returns the first message.
func shakeHands(self noise.DHKey, peer []byte, suite noise.CipherSuite, prologue, key []byte, kind keyKind) (*handshake, []byte, error) {
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeKK, Initiator: true, Prologue: prologue,
		StaticKeypair: self, PeerStatic: peer, PresharedKey: key, PresharedKeyPlacement: 2,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("begin the handshake: %w", err)
	}
	payload, err := json.Marshal(struct {
		ID   string  `json:"psk_id"`
		Kind keyKind `json:"psk_category"`
	}{keyName(key), kind})
	if err != nil {
		panic(err) // strings always marshal
	}
	message, _, _, err := state.WriteMessage(nil, payload)
	if err != nil {
		return nil, nil, fmt.Errorf("begin the handshake: %w", err)
	}
	return &handshake{state, suite, key, kind}, message, nil
}

// finish reads the answer. fallBack lets a client that does not have the key answer with the published one instead (spec,
// connection.md, Sentinel Fallback); the session says so by its key.
func (h *handshake) finish(answer []byte, fallBack bool) (*session, error) {
	payload, out, in, err := h.state.ReadMessage(nil, answer)
	if err != nil && fallBack && h.kind != sentinel {
		if err := h.state.SetPresharedKey(sentinelKey); err != nil {
			return nil, err
		}
		h.kind = sentinel
		payload, out, in, err = h.state.ReadMessage(nil, answer)
	}
	if err != nil {
		return nil, fmt.Errorf("the answer to the handshake: %w", err)
	}
	if !json.Valid(payload) || len(bytes.TrimSpace(payload)) == 0 {
		return nil, errors.New("the answer to the handshake says nothing")
	}
	return &session{out: out, in: in, hash: bytes.Clone(h.state.ChannelBinding()), suite: h.suite, key: h.kind}, nil
}

// noiseMessage is the payload of noise/handshake.
type noiseMessage struct {
	Data string `json:"data"`
}

func parseNoise(payload []byte) ([]byte, error) {
	var m noiseMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("a handshake: %w", err)
	}
	return unbase64(m.Data)
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unbase64(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("that is no base64url")
	}
	return b, nil
}

// sized is unbase64 of so many bytes.
func sized(s string, n int) ([]byte, error) {
	b, err := unbase64(s)
	if err == nil && len(b) != n {
		err = fmt.Errorf("%d bytes where %d belong", len(b), n)
	}
	return b, err
}
