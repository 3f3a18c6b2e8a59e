package sendspin

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"tutti"
)

const (
	// attemptTime is how long a pairing may take from its beginning, people's part included.
	attemptTime = 3 * time.Minute
	// maxRemark bounds what an unknown client may say to people, in characters (spec, pairing, client/pair-pending).
	maxRemark = 200
)

// attempt is a pairing that goes on. It belongs to the listening goroutine; outcome goes to whoever waits in Pair.
type attempt struct {
	method  string
	key     []byte // of the token
	began   bool   // client/pair-init is there
	nonce   []byte // ours
	commit  []byte // the client's promise of its own
	code    string
	round   uint32
	pake    *cpace
	sid     []byte
	proven  bool
	outcome chan outcome // one place: what the other side waits for
	timer   interface{ Stop() bool }
}

// outcome is what became of a step.
type outcome struct {
	done  bool   // paired
	ready bool   // a code may be entered
	note  string // from the device
	err   error
}

// tell leaves an outcome for whoever waits, in place of an older one.
func (a *attempt) tell(o outcome) {
	select {
	case <-a.outcome:
	default:
	}
	a.outcome <- o
}

// token is what a version 0 pairing token carries: a client's public key, and its pairing key.
func parseToken(s string) (client, key []byte, err error) {
	s = strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(s)), "SP:")
	if len(s) < 2 || len(s) > 1024 || s[0] != '0' {
		return nil, nil, errors.New("that is no pairing token that is known here")
	}
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(s[1:], "9", "2"))
	if err != nil || len(b) < 64 {
		return nil, nil, errors.New("that pairing token is damaged or cut short")
	}
	return b[:32], b[32:64], nil
}

// Pairings lists the clients that are connected and encrypt, and those that were paired, by their names.
func (s *Server) Pairings(ctx context.Context, _ tutti.Viewer) ([]tutti.RoomPairing, error) {
	records, err := s.keys.all(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	connected := slices.Collect(maps.Values(s.clients))
	s.mu.Unlock()
	by := map[string]tutti.RoomPairing{}
	for _, c := range connected {
		if c.l.sealed() {
			by[c.id] = tutti.RoomPairing{Player: c.id, Name: c.g.Name, Connected: true, Methods: c.offers()}
		}
	}
	for _, r := range records {
		p, ok := by[r.Client]
		if !ok {
			p = tutti.RoomPairing{Player: r.Client, Name: r.Name}
		}
		p.Paired = true
		by[r.Client] = p
	}
	out := make([]tutti.RoomPairing, 0, len(by))
	for _, p := range by {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b tutti.RoomPairing) int { return strings.Compare(a.Name+a.Player, b.Name+b.Player) })
	return out, nil
}

// offers are the ways in which a client can be paired.
func (c *client) offers() []tutti.PairMethod {
	var out []tutti.PairMethod
	for _, m := range []struct {
		name string
		word tutti.PairMethod
	}{{byToken, tutti.PairByToken}, {byShownCode, tutti.PairByShownCode}, {byFixedCode, tutti.PairByFixedCode}} {
		if v, ok := c.g.Methods.of[m.name]; ok && !v.Locked {
			out = append(out, m.word)
		}
	}
	return out
}

// Pair takes a step towards a pairing. Without a secret it asks the client to show its code, or to take the one that it
// has; with one it goes on to the end. A token needs no step before it.
func (s *Server) Pair(ctx context.Context, v tutti.Viewer, player, secret string) (tutti.RoomPairing, error) {
	const op = "sendspin.Pair"
	var none tutti.RoomPairing
	if !v.Admin {
		return none, tutti.Errorf(tutti.KindForbidden, op, "only an admin lets players in")
	}
	digits := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, secret)
	isCode := digits != "" && len(digits) <= maxCodeLength && !strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	var key []byte
	if secret != "" && !isCode {
		client, k, err := parseToken(secret)
		if err != nil {
			return none, tutti.Errorf(tutti.KindInvalid, op, "%v", err)
		}
		if id := base64url(client); player == "" || player == id {
			player, key = id, k
		} else {
			return none, tutti.Errorf(tutti.KindInvalid, op, "that pairing token is another player's")
		}
		digits = ""
	}
	s.mu.Lock()
	c := s.clients[player]
	s.mu.Unlock()
	if c == nil || !c.l.sealed() {
		return none, tutti.Errorf(tutti.KindNotFound, op, "no player of that name is connected that encrypts")
	}
	waits := make(chan *attempt, 1)
	order := func(ctx context.Context) error {
		a, err := c.step(ctx, key, digits)
		waits <- a
		return err
	}
	select {
	case c.orders <- order:
	case <-c.gone:
		return none, tutti.Errorf(tutti.KindUnavailable, op, "%s has gone", c.g.Name)
	case <-ctx.Done():
		return none, ctx.Err()
	}
	var a *attempt
	select {
	case a = <-waits:
	case <-c.gone:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if a == nil {
		return none, tutti.Errorf(tutti.KindConflict, op, "%s cannot be paired like that; ask it to show its code first, or enter its token", c.g.Name)
	}
	p := tutti.RoomPairing{Player: c.id, Name: c.g.Name, Connected: true, Methods: c.offers()}
	timer := s.c.Clock.NewTimer(attemptTime)
	defer timer.Stop()
	for {
		select {
		case o := <-a.outcome:
			switch {
			case o.err != nil:
				return none, tutti.Errorf(tutti.KindInvalid, op, "%s was not paired: %v", c.g.Name, o.err)
			case o.done:
				p.Paired = true
				return p, nil
			case secret == "":
				p.Ready, p.Note = o.ready, o.note
				return p, nil
			}
		case <-c.gone:
			return none, tutti.Errorf(tutti.KindUnavailable, op, "%s has gone", c.g.Name)
		case <-timer.C():
			return none, tutti.Errorf(tutti.KindUnavailable, op, "%s did not answer in time", c.g.Name)
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
}

// Unpair forgets a pairing, at both ends where the client is connected.
func (s *Server) Unpair(ctx context.Context, v tutti.Viewer, player string) error {
	const op = "sendspin.Unpair"
	if !v.Admin {
		return tutti.Errorf(tutti.KindForbidden, op, "only an admin lets players in")
	}
	if _, paired, err := s.keys.of(ctx, player); err != nil {
		return err
	} else if !paired {
		return tutti.Errorf(tutti.KindNotFound, op, "that player is not paired")
	}
	if err := s.keys.forget(ctx, player); err != nil {
		return err
	}
	s.mu.Lock()
	c := s.clients[player]
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	select {
	case c.orders <- func(ctx context.Context) error {
		if err := c.l.say(ctx, "server/unpair", map[string]any{}); err != nil {
			return err
		}
		return errUnpaired // what it had by its key, it has no more; it may come again as anybody may
	}:
	case <-c.gone:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// errUnpaired ends the connection of a client that was let go.
var errUnpaired = errors.New("its pairing was forgotten")

// step begins or continues a pairing; nil where it cannot.
func (c *client) step(ctx context.Context, key []byte, code string) (*attempt, error) {
	if a := c.pair; a != nil && code != "" {
		if !a.began || a.code != "" || a.method == byToken {
			return nil, nil
		}
		a.code = code
		return a, c.authenticate(ctx, a)
	}
	if code != "" {
		return nil, nil
	}
	if c.pair != nil {
		if err := c.l.say(ctx, "pair/abort", map[string]any{"reason": "user_cancelled"}); err != nil {
			return nil, err
		}
		c.end(errors.New("somebody began another pairing"))
	}
	a := &attempt{method: byToken, key: key, outcome: make(chan outcome, 1)}
	if key == nil {
		offers := c.g.Methods.of
		switch {
		case offers[byShownCode].MinLength <= maxCodeLength && has(offers, byShownCode):
			a.method = byShownCode
		case has(offers, byFixedCode):
			a.method = byFixedCode
		default:
			return nil, nil
		}
	} else if !has(c.g.Methods.of, byToken) {
		return nil, nil
	}
	return a, c.begin(ctx, a)
}

func has(of map[string]method, name string) bool { m, ok := of[name]; return ok && !m.Locked }

// begin quiets the client and tells it what is to happen.
func (c *client) begin(ctx context.Context, a *attempt) error {
	c.pair = a
	streams := slices.ContainsFunc(c.active, func(r string) bool { return r == rolePlayer || r == roleArtwork || r == roleVisualizer })
	c.quiet(true)
	if streams {
		if err := c.l.say(ctx, "stream/end", map[string]any{}); err != nil {
			return err
		}
	}
	c.active = nil
	key, kind := sentinelKey, sentinel
	if a.method == byToken {
		key, kind = a.key, pairing
	}
	if kind == pairing || c.l.session.key != kind {
		if err := c.rehandshake(ctx, key, kind); err != nil {
			return err
		}
	}
	c.round++
	activation := map[string]any{"activities": []string{"pairing"}, "active_roles": []string{}}
	if c.l.dialect == first {
		name := map[string]string{byToken: byToken, byShownCode: byShownFirst, byFixedCode: byFixedFirst}[a.method]
		activation["selected_pair_method"] = name
	} else {
		p := map[string]any{"method": a.method}
		if a.method == byShownCode {
			p["format"] = formatDigits
		}
		activation["pairing"] = p
	}
	a.timer = c.s.c.Clock.AfterFunc(attemptTime, func() {
		late := func(ctx context.Context) error {
			if c.pair != a {
				return nil
			}
			return c.abandon(ctx, errors.New("it took too long"))
		}
		select {
		case c.orders <- late:
		case <-c.gone:
		}
	})
	return c.l.say(ctx, "server/activate", activation)
}

// end forgets the attempt.
func (c *client) end(err error) {
	c.pair.timer.Stop()
	c.pair.tell(outcome{done: err == nil, err: err})
	c.pair = nil
}

// abandon ends the attempt and goes back to what was before.
func (c *client) abandon(ctx context.Context, err error) error {
	c.end(err)
	return c.welcome(ctx)
}

// rehandshake changes the session's keys (spec, connection.md, Re-handshake). Nobody else may be sending: what the client
// has sent under the old keys until its answer is left.
func (c *client) rehandshake(ctx context.Context, key []byte, kind keyKind) error {
	peer, err := sized(c.id, 32)
	if err != nil {
		return err
	}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	h, hand, err := shakeHands(c.s.keys.self, peer, c.l.session.suite, c.l.session.hash, key, kind)
	if err != nil {
		return err
	}
	if err := c.l.sendHeld(ctx, jsonBody, encode("noise/handshake", noiseMessage{base64url(hand)})); err != nil {
		return err
	}
	clock := c.s.c.Clock
	until := clock.Now().Add(handshakeStep) // whatever else it says meanwhile
	for {
		f, err := c.l.next(ctx, until.Sub(clock.Now()))
		if err != nil {
			return err
		}
		m, complete, err := c.l.open(f)
		if err != nil {
			return err
		}
		if !complete || m.id != jsonBody {
			continue
		}
		e, err := parseEnvelope(m.body)
		if err != nil {
			return err
		}
		if e.Type != "noise/handshake" {
			continue
		}
		answer, err := parseNoise(e.Payload)
		if err != nil {
			return err
		}
		session, err := h.finish(answer, false)
		if err != nil {
			return err
		}
		c.l.session, c.round = session, 0
		return nil
	}
}

// pairMessage is the payload of every pairing message of a client.
type pairMessage struct {
	Index    *uint32 `json:"pairing_index"`
	Message  string  `json:"message"`
	Commit   string  `json:"commit_B"`
	Share    string  `json:"pake_msg_2"`
	Proof    string  `json:"client_kc"`
	Nonce    string  `json:"nonce_B"`         // first
	Sealed   string  `json:"wrapped_nonce_B"` // current
	Key      string  `json:"long_term_psk"`
	WrapKey  string  `json:"wrapped_psk"`
	AbortFor string  `json:"reason"`
}

func parsePair(payload []byte) (pairMessage, error) {
	var m pairMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		return m, fmt.Errorf("a pairing: %w", err)
	}
	return m, nil
}

// errPairing ends a connection whose other side does not pair as it should.
var errPairing = errors.New("it does not pair as the protocol has it")

// pairing acts on a message of a pairing. Those of one that has ended are left.
func (c *client) pairing(ctx context.Context, e envelope) error {
	a := c.pair
	if a == nil {
		return nil
	}
	m, err := parsePair(e.Payload)
	if err != nil {
		return err
	}
	switch e.Type {
	case "pair/abort":
		reason := m.AbortFor
		if reason == "pairing_code_mismatch" || reason == "pin_mismatch" {
			reason = "the code is wrong"
		}
		return c.abandon(ctx, fmt.Errorf("it says: %.80s", reason))
	case "client/pair-pending":
		if m.Index == nil || *m.Index > c.round {
			return errPairing
		}
		if *m.Index == c.round {
			note := []rune(m.Message)
			a.tell(outcome{note: string(note[:min(len(note), maxRemark)])})
		}
		return nil
	case "client/pair-init":
		if m.Index == nil || *m.Index > c.round {
			return errPairing
		}
		if *m.Index < c.round {
			return nil
		}
		return c.beginRound(ctx, a, m)
	case "client/pair-auth":
		if a.pake == nil || a.pake.key != nil {
			return errPairing
		}
		share, err := sized(m.Share, shareSize)
		if err != nil {
			return err
		}
		if err := a.pake.derive(share); err != nil {
			return err
		}
		return c.l.say(ctx, "server/pair-confirm", map[string]any{"server_kc": base64url(a.pake.proof())})
	case "client/pair-retry":
		if a.pake == nil || a.pake.key == nil || a.method != byShownCode || c.l.dialect != current {
			return errPairing
		}
		a.code, a.pake = "", nil
		a.round++
		if err := c.l.say(ctx, "server/pair-init", map[string]any{}); err != nil {
			return err
		}
		a.tell(outcome{err: errors.New("the code is wrong; enter it again")})
		return nil
	case "client/pair-confirm":
		return c.confirm(ctx, a, m)
	case "client/pair-finalize":
		return c.finalize(ctx, a, m)
	}
	return nil
}

// beginRound takes the client's first words of the attempt.
func (c *client) beginRound(ctx context.Context, a *attempt, m pairMessage) error {
	if a.began {
		return errPairing
	}
	a.began, a.round = true, 1
	if a.method == byShownCode {
		var err error
		if a.commit, err = sized(m.Commit, sha256.Size); err != nil {
			return err
		}
		a.nonce = make([]byte, 32)
		if _, err := rand.Read(a.nonce); err != nil {
			return err
		}
		payload := map[string]any{"nonce_A": base64url(a.nonce)}
		if c.l.dialect == first {
			payload["pin_length"] = c.codeLength()
		}
		if err := c.l.say(ctx, "server/pair-init", payload); err != nil {
			return err
		}
	} else if m.Commit != "" {
		return errPairing
	}
	if a.method != byToken {
		a.tell(outcome{ready: true})
	}
	return nil
}

// codeLength is how long a shown code is.
func (c *client) codeLength() int { return max(shownLength, c.g.Methods.of[byShownCode].MinLength) }

// authenticate begins the proof that both sides know the code.
func (c *client) authenticate(ctx context.Context, a *attempt) error {
	a.sid = slices.Concat([]byte("sendspin-pair-pake-v1"), c.l.session.hash)
	a.sid = binary.BigEndian.AppendUint32(a.sid, c.round)
	if c.l.dialect == current {
		a.sid = binary.BigEndian.AppendUint32(a.sid, a.round)
	}
	var err error
	if a.pake, err = newCPace(true, []byte(a.code), a.sid); err != nil {
		return err
	}
	return c.l.say(ctx, "server/pair-auth", map[string]any{"pake_msg_1": base64url(a.pake.share)})
}

// confirm verifies that the client knows the code, and, where it has shown it, that it was this session's.
func (c *client) confirm(ctx context.Context, a *attempt, m pairMessage) error {
	if a.pake == nil || a.pake.key == nil || a.proven {
		return errPairing
	}
	proof, err := sized(m.Proof, proofSize)
	if err != nil {
		return err
	}
	if !a.pake.verify(proof) {
		reason := "pairing_code_mismatch"
		if c.l.dialect == first {
			reason = "pin_mismatch"
		}
		if err := c.l.say(ctx, "pair/abort", map[string]any{"reason": reason}); err != nil {
			return err
		}
		return c.abandon(ctx, errors.New("the code is wrong"))
	}
	if a.method == byShownCode {
		var nonce []byte
		if c.l.dialect == first {
			nonce, err = sized(m.Nonce, 32)
		} else {
			nonce, err = c.unwrap(a, "sendspin-pair-nonce-wrap-v1", m.Sealed)
		}
		if err != nil {
			return err
		}
		promise := sha256.Sum256(slices.Concat([]byte("sendspin-pair-commit-v1"), nonce))
		if !bytes.Equal(promise[:], a.commit) || shownCode(c.l.dialect, c.l.session.hash, a.nonce, nonce, c.codeLength()) != a.code {
			return errPairing // somebody stands between the two
		}
	}
	a.proven = true
	return nil
}

// shownCode is the code that a client shows, bound to the session and to what both sides have contributed.
func shownCode(d dialect, hash, ours, theirs []byte, length int) string {
	label := "sendspin-pairing-code-derive-v1"
	if d == first {
		label = "sendspin-pin-derive-v1"
	} else {
		length = shownLength
	}
	sum := sha256.Sum256(slices.Concat([]byte(label), hash, ours, theirs))
	n := new(big.Int).SetBytes(sum[:])
	n.Mod(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(length)), nil))
	return fmt.Sprintf("%0*d", length, n)
}

// unwrap opens what was sealed under the proof's key (spec, pairing, Wrapping).
func (c *client) unwrap(a *attempt, label, sealed string) ([]byte, error) {
	b, err := sized(sealed, 32+tagSize)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(slices.Concat([]byte(label), a.sid, a.pake.key))
	out, err := c.l.session.suite.Cipher(key).Decrypt(nil, 0, nil, b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPairing, err)
	}
	return out, nil
}

// finalize keeps the key that the client has made, and goes over to it.
func (c *client) finalize(ctx context.Context, a *attempt, m pairMessage) error {
	var key []byte
	var err error
	switch {
	case a.method == byToken && m.WrapKey == "" && (a.began || c.l.dialect == first):
		key, err = sized(m.Key, 32)
	case a.method != byToken && m.Key == "" && a.proven:
		key, err = c.unwrap(a, "sendspin-pair-psk-wrap-v1", m.WrapKey)
	default:
		return errPairing
	}
	if err != nil {
		return err
	}
	if err := c.s.keys.keep(ctx, record{Client: c.id, Name: c.g.Name, Key: key, Since: c.s.c.Clock.Now().UTC()}); err != nil {
		return err
	}
	if err := c.l.say(ctx, "server/pair-finalize", map[string]any{}); err != nil {
		return err
	}
	if err := c.rehandshake(ctx, key, longTerm); err != nil {
		return err
	}
	c.missing = false
	c.end(nil)
	c.s.c.Logger.Info("a Sendspin client was paired", "name", c.shownName(), "id", c.id)
	return c.welcome(ctx)
}
