package metacodec

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"tutti"
)

// Sample is one record of a corpus that a model learns from.
type Sample interface {
	// Artist is who made it. What one artist's records say counts once, so that a model learns what is common to many.
	Artist() string
	// Release tells which samples belong together, in order.
	Release() string
	// Write writes the record's fields between Begin and End, as the records that the model is for are written.
	Write(e *Encoder)
}

// Training says how a model is made. The zero value is how the default model is made.
type Training struct {
	Name    string
	Buckets int    // contexts that the model may keep, 0: 1,500,000; each takes 20 to 25 bytes of memory
	Phrases int    // bytes of the texts that it may keep, 0: 4 MiB
	Seed    uint64 // of the order of records; with the same samples and seed the model is the same, byte for byte
	// Apart are models that frames are read with beside this one: its ID will have a tag that none of theirs has.
	Apart []ModelID
	// Progress, if not nil, is told what is done, of one.
	Progress func(done float64, what string)
}

// The stages of training.
type stage uint8

const (
	stageSymbols stage = iota // how often which symbol comes
	stageCollect              // which contexts more than one artist has
	stageCount                // how decisions fell in them
	stageStates               // what states are worth, on artists whose counts were taken out
	stageMix                  // how to mix, likewise
)

const (
	folds      = 16
	epochs     = 3
	pageLength = 100
)

// trainer makes a model. The trick is leave-one-out: what a state is worth, and how contexts are to be mixed, is learnt
// from artists whose own counts were taken out of the tables before, so that the model meets them as it will meet
// artists that it never saw. Counts are exact, so taking out is exact too.
type trainer struct {
	m     *Model
	stage stage
	skip  bool // what is coded now is not counted

	letters [symbols]uint64
	said    map[uint64]struct{} // texts of the artist at hand
	once    bool                // count only texts that are new

	admit  admission
	artist uint32
	counts [][2]uint32 // by node
	sign   int32

	states [nets][][2]uint32
	flagsN [][2]uint32

	owners []uint8 // by place in the phrases: the fold of the only artist who has the phrase, or shared
	fold   uint8   // that is at hand

	gate    [gates]int
	weights [nets][gates][]float32
	logits  [nets][]float32
	rate    float32
}

// admission counts by how many artists a context was met: an open hash table.
type admission struct {
	keys []uint64
	last []uint32
	many []uint8
	used int
}

func (a *admission) add(key uint64, artist uint32) {
	if key == 0 {
		key = 1
	}
	if a.used*5 >= len(a.keys)*3 {
		old := *a
		n := max(1<<16, 2*len(old.keys))
		*a = admission{keys: make([]uint64, n), last: make([]uint32, n), many: make([]uint8, n), used: old.used}
		for i, k := range old.keys {
			if k != 0 {
				j := a.at(k)
				a.keys[j], a.last[j], a.many[j] = k, old.last[i], old.many[i]
			}
		}
	}
	i := a.at(key)
	switch {
	case a.keys[i] == 0:
		a.keys[i], a.last[i], a.many[i] = key, artist, 1
		a.used++
	case a.last[i] != artist:
		a.last[i] = artist
		if a.many[i] < 255 {
			a.many[i]++
		}
	}
}

func (a *admission) at(key uint64) int {
	mask := len(a.keys) - 1
	i := int(key>>20) & mask
	for a.keys[i] != 0 && a.keys[i] != key {
		i = (i + 1) & mask
	}
	return i
}

func (t *trainer) collecting() bool { return t.stage <= stageCollect }

func (t *trainer) collect(key uint64) {
	if !t.skip && t.stage == stageCollect {
		t.admit.add(spread(key), t.artist)
	}
}

// passing reports whether the text at hand need not be coded, since nothing of it is counted.
func (t *trainer) passing() bool { return t.stage < stageStates && t.skip }

func (t *trainer) numbering() { t.skip = t.stage == stageSymbols }

// spelling is told of every text that is spelled.
func (t *trainer) spelling(f Field, s []byte) {
	if t.stage >= stageStates {
		return
	}
	t.skip = !t.once
	if t.once {
		key := mix(int(f), hashText(s))
		if _, known := t.said[key]; known {
			t.skip = true
		} else {
			t.said[key] = struct{}{}
		}
	}
	if t.stage == stageSymbols && !t.skip {
		for _, b := range s {
			t.letters[b]++
		}
		t.letters[endSymbol]++
	}
}

func (t *trainer) flag(i, bit int) {
	if t.stage == stageStates {
		t.flagsN[i][bit]++
	}
}

// counting handles a decision in the stages that do not predict.
func (t *trainer) counting(c *coder, node, bit int) bool {
	if t.stage >= stageStates {
		return false
	}
	if t.stage == stageCount && !t.skip {
		for i := range c.n.contexts {
			if x := int(c.idx[i]); x != 0 {
				n := &t.counts[x+node]
				n[bit] += uint32(t.sign)
				t.m.nodes[x+node] = levelOf(n[0])<<4 | levelOf(n[1])
			}
		}
	}
	return true
}

// own reports whether a place in the phrases is known only from the fold at hand.
func (t *trainer) own(place uint32) bool { return t.owners[place-1] == t.fold }

// shared marks what more than one artist has.
const shared = 255

// bit learns from a decision.
func (t *trainer) bit(c *coder, node int, in, of uint8, bit int) int {
	n := c.n
	states := c.states[:n.inputs-1]
	clear(states)
	for k := range c.known {
		states[c.which[k]] = t.m.nodes[int(c.idx[k])+node]
	}
	for k := range n.overlays {
		states[n.contexts+k] = c.ov.nodes[int(c.oidx[k])+node]
	}
	states[n.inputs-3], states[n.inputs-2] = in, of
	if t.stage == stageStates {
		s := t.states[n.which]
		for i, x := range states {
			s[i<<8|int(x)][bit]++
		}
	} else {
		t.mix(n, states, bit)
	}
	for i := range n.overlays {
		p := &c.ov.nodes[int(c.oidx[i])+node]
		*p = learned[*p][bit&1]
	}
	return bit
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// mix moves the weights, and what the states are worth, down the gradient of the coding cost. What is rounded to float32
// after each product is said so explicitly: no processor may fuse it with a sum, and the model is the same on all.
func (t *trainer) mix(n *net, states []uint8, bit int) {
	var x [maxInputs]float32
	logits := t.logits[n.which]
	last := n.inputs - 1
	w0 := t.weights[n.which][0][t.gate[0]*n.inputs:][:n.inputs]
	w1 := t.weights[n.which][1][t.gate[1]*n.inputs:][:n.inputs]
	w2 := t.weights[n.which][2][t.gate[2]*n.inputs:][:n.inputs]
	dot := w0[last] + w1[last] + w2[last]
	for i, s := range states {
		if s != 0 {
			x[i] = logits[i<<8|int(s)]
			dot += float32(x[i] * (w0[i] + w1[i] + w2[i]))
		}
	}
	const limit = logitLimit / logitOne
	d := min(max(float64(dot), -limit), limit)
	step := float32((float64(bit) - sigmoid(d)) * float64(t.rate))
	for i, s := range states {
		if s != 0 {
			l := &logits[i<<8|int(s)]
			*l = min(max(*l+float32(step*logitRate*(w0[i]+w1[i]+w2[i])), -limit), limit)
			v := float32(step * x[i])
			w0[i] += v
			w1[i] += v
			w2[i] += v
		}
	}
	w0[last] += step
	w1[last] += step
	w2[last] += step
}

// logitRate is how much faster than weights the worth of states is learnt, which fewer decisions touch.
const logitRate = 2

// Train makes a model of samples. It takes about a millisecond a sample on one core and 150 bytes of memory a letter. ctx
// ends it early, with its error.
func Train(ctx context.Context, samples []Sample, how Training) (*Model, error) {
	if len(samples) == 0 {
		return nil, tutti.Errorf(tutti.KindInvalid, "metacodec.Train", "There is nothing to learn from.")
	}
	if how.Buckets == 0 {
		how.Buckets = 1_500_000
	}
	how.Buckets = min(how.Buckets, maxBuckets-1)
	if how.Phrases == 0 {
		how.Phrases = 4 << 20
	}
	how.Phrases = min(how.Phrases, maxPhrases)
	if how.Progress == nil {
		how.Progress = func(float64, string) {}
	}
	if len(how.Name) > 255 {
		return nil, tutti.Errorf(tutti.KindInvalid, "metacodec.Train", "A model's name takes at most 255 bytes.")
	}
	corpus := newCorpus(samples, how.Seed)
	m := &Model{name: how.Name}
	t := &trainer{m: m, said: make(map[uint64]struct{})}
	m.tables()
	for i := range m.flags {
		m.flags[i] = 1 << 15
	}
	m.constants()
	for i := range m.nets {
		m.nets[i].shape(i)
	}
	for i := range m.lengths { // any complete code will do until there are counts
		m.lengths[i] = 8
	}
	m.lengths[255], m.lengths[256] = 9, 9
	if !m.plant() {
		return nil, tutti.Errorf(tutti.KindInternal, "metacodec.Train", "The first code is incomplete.")
	}
	m.grow(1, 1)
	m.index()

	t.stage = stageSymbols
	how.Progress(0, "letters")
	for _, a := range corpus.artists {
		t.count(a)
	}
	m.lengths = codeLengths(t.letters)
	if !m.plant() {
		return nil, tutti.Errorf(tutti.KindInternal, "metacodec.Train", "The code is incomplete.")
	}
	t.stage = stageCollect
	for i, a := range corpus.artists {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		t.artist = uint32(i)
		t.count(a)
	}
	t.build(how.Buckets)
	t.gather(corpus, how.Phrases)
	t.admit = admission{}
	how.Progress(0.1, "contexts")
	t.stage, t.sign = stageCount, 1
	t.counts = make([][2]uint32, len(m.nodes))
	for _, a := range corpus.artists {
		t.count(a)
	}
	how.Progress(0.15, "counts")

	for i := range t.states {
		t.states[i] = make([][2]uint32, (m.nets[i].inputs-1)*256)
	}
	t.flagsN = make([][2]uint32, len(m.flags))
	t.init()
	rounds := float64(epochs + 1)
	for epoch := -1; epoch < epochs; epoch++ {
		stage := stageMix
		if epoch < 0 {
			stage = stageStates
		} else {
			t.rate = float32(0.006 / (1 + 2.5*float64(epoch)))
		}
		for f := range folds {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			how.Progress(0.15+0.85*(float64(epoch+1)+float64(f)/folds)/rounds, "mixing")
			fold := corpus.fold(f)
			t.fold = uint8(f)
			t.stage, t.sign = stageCount, -1
			for _, a := range fold {
				t.count(a)
			}
			t.stage = stage
			corpus.eachFrame(fold, how.Seed+uint64(f)+uint64(epoch+1)*folds, epoch+1, func(e *Encoder) { t.run(e) })
			t.stage, t.sign = stageCount, 1
			for _, a := range fold {
				t.count(a)
			}
		}
		if epoch < 0 {
			t.settle()
		}
	}
	t.quantise()
	how.Progress(1, "done")
	for {
		b, err := m.bytesOf()
		if err != nil {
			return nil, err
		}
		made, err := parse(b)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(how.Apart, func(id ModelID) bool { return id != made.id && id.Tag() == made.id.Tag() }) {
			return made, nil
		}
		if m.salt++; m.salt == 0 {
			return nil, tutti.Errorf(tutti.KindExhausted, "metacodec.Train", "There are too many models already.")
		}
	}
}

// File returns the model's file, as Load reads it.
func (m *Model) File() ([]byte, error) { return m.bytesOf() }

// corpus is the samples in the order of training: artists in an order of their own, each one's samples by release.
type corpus struct {
	artists [][]Sample
	e       *Encoder
}

func newCorpus(samples []Sample, seed uint64) *corpus {
	by := make(map[string][]Sample)
	var names []string
	for _, s := range samples {
		a := s.Artist()
		if _, ok := by[a]; !ok {
			names = append(names, a)
		}
		by[a] = append(by[a], s)
	}
	slices.Sort(names)
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	c := &corpus{e: NewEncoder(nil)}
	for _, n := range names {
		s := by[n]
		slices.SortStableFunc(s, func(a, b Sample) int { return cmp.Compare(a.Release(), b.Release()) })
		c.artists = append(c.artists, s)
	}
	return c
}

// fold returns every 16th artist.
func (c *corpus) fold(f int) [][]Sample {
	var out [][]Sample
	for i := f; i < len(c.artists); i += folds {
		out = append(out, c.artists[i])
	}
	return out
}

// eachFrame writes the samples of artists as frames of one record, of an album, and of a page of records that have
// nothing to do with one another: in every round half of what there is.
func (c *corpus) eachFrame(artists [][]Sample, seed uint64, round int, fn func(*Encoder)) {
	var all []Sample
	for _, a := range artists {
		all = append(all, a...)
	}
	random := rand.New(rand.NewPCG(seed, 2))
	page := slices.Clone(all)
	random.Shuffle(len(page), func(i, j int) { page[i], page[j] = page[j], page[i] })
	frame := func(s []Sample) {
		c.e.clear()
		for _, s := range s {
			s.Write(c.e)
		}
		fn(c.e)
	}
	for i := round & 1; i < len(all); i += 2 {
		frame(all[i : i+1])
	}
	for i, n := 0, round; i < len(all); n++ {
		j := i + 1
		for j < len(all) && all[j].Release() == all[i].Release() && j-i < 256 {
			j++
		}
		if n&1 == 0 {
			frame(all[i:j])
		}
		i = j
	}
	page = page[:(len(page)+1)/2]
	for i := 0; i < len(page); i += pageLength {
		frame(page[i:min(i+pageLength, len(page))])
	}
}

// run codes what an encoder holds for the trainer.
func (t *trainer) run(e *Encoder) {
	c := t.m.get()
	c.tr = t
	c.reset(t.m, training)
	c.write(e)
	c.tr = nil
	t.m.end(c)
}

// count codes an artist's records, alone and by release, in the stages that count: every text once, numbers always.
func (t *trainer) count(samples []Sample) {
	e := NewEncoder(nil)
	clear(t.said)
	t.once = true
	for _, s := range samples {
		s.Write(e)
		t.run(e)
		e.clear()
	}
	t.once = false
	for i := 0; i < len(samples); {
		j := i
		for ; j < len(samples) && samples[j].Release() == samples[i].Release(); j++ {
			samples[j].Write(e)
		}
		t.run(e)
		e.clear()
		i = j
	}
}

// build makes the table of the contexts that at least two artists have; of more than there may be those of most artists.
func (t *trainer) build(most int) {
	a := &t.admit
	var by [256]int
	for _, n := range a.many {
		by[n]++
	}
	least, total := 255, by[255]
	for least > 2 && total+by[least-1] <= most {
		least--
		total += by[least]
	}
	total = min(total, most)
	type entry struct {
		key  uint64
		many uint8
	}
	entries := make([]entry, 0, total)
	for i, k := range a.keys {
		if k != 0 && int(a.many[i]) >= least && len(entries) < most {
			entries = append(entries, entry{k, a.many[i]})
		}
	}
	sets := 1
	for float64(len(entries))/float64(sets) > 5.2 {
		sets *= 2
	}
	shift := uint(64 - bits.TrailingZeros(uint(sets)))
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key>>shift, b.key>>shift), cmp.Compare(b.many, a.many), cmp.Compare(a.key, b.key))
	})
	kept := entries[:0]
	per := make([]int, sets)
	for _, e := range entries {
		if s := e.key >> shift; per[s] < lanes {
			per[s]++
			kept = append(kept, e)
		}
	}
	m := t.m
	m.grow(sets, len(kept)+1)
	base := 1
	for i := range m.sets {
		m.sets[i].base = uint32(base)
		for l := range per[i] {
			m.sets[i].tags[l/4] |= tagOf(kept[base-1+l].key) << (l % 4 * 16)
		}
		base += per[i]
	}
}

// gather makes the phrases: the texts of six letters and more, those that most artists have last, where they are found
// first.
func (t *trainer) gather(c *corpus, most int) {
	type phrase struct {
		text  string
		many  int // artists
		first int // the first of them
		last  int
	}
	by := make(map[string]*phrase)
	var all []*phrase
	e := NewEncoder(nil)
	for i, artist := range c.artists {
		for _, s := range artist {
			s.Write(e)
			for _, o := range e.ops {
				if o.typ != opText || o.n <= phraseMin || o.n > maxPhrase {
					continue
				}
				text := e.buf[o.off : o.off+int(o.n)]
				p := by[string(text)]
				if p == nil {
					p = &phrase{text: string(text), first: i, last: -1}
					by[p.text] = p
					all = append(all, p)
				}
				if p.last != i {
					p.many++
					p.last = i
				}
			}
			e.clear()
		}
	}
	slices.SortFunc(all, func(a, b *phrase) int { return cmp.Or(cmp.Compare(b.many, a.many), cmp.Compare(a.text, b.text)) })
	size := 0
	for i, p := range all {
		if size += len(p.text) + 1; size > most {
			all = all[:i]
			break
		}
	}
	// those of as many artists in the order of their letters, which packs well
	slices.SortFunc(all, func(a, b *phrase) int { return cmp.Or(cmp.Compare(a.many, b.many), cmp.Compare(a.text, b.text)) })
	for _, p := range all {
		owner := uint8(p.first % folds)
		if p.many > 1 {
			owner = shared
		}
		t.m.phrases = append(append(t.m.phrases, p.text...), 0)
		for range len(p.text) + 1 {
			t.owners = append(t.owners, owner)
		}
	}
	t.m.index()
}

// maxPhrase is the longest text that is kept whole as a phrase, in bytes.
const maxPhrase = 256

// init begins with weights that take all contexts alike.
func (t *trainer) init() {
	for i := range t.weights {
		n := &t.m.nets[i]
		for g := range gates {
			w := make([]float32, n.rows[g]*n.inputs)
			for j := range w {
				if g == 0 && j%n.inputs != n.inputs-1 {
					w[j] = 0.25
				}
			}
			t.weights[i][g] = w
		}
		t.logits[i] = make([]float32, (n.inputs-1)*256)
	}
}

// settle turns what was counted of states and flags into logits and probabilities.
func (t *trainer) settle() {
	m := t.m
	for i := range m.nets {
		n := &m.nets[i]
		for j, c := range t.states[i] {
			// with few cases a state is worth what its own counts say, cautiously
			s := j & 255
			if s == 0 {
				continue // says nothing
			}
			z, o := float64(levels[s>>4]), float64(levels[s&15])
			if j>>8 >= n.inputs-3 { // of a match
				z, o = float64(1-s&1), float64(s&1)
			}
			prior := (o + 0.4) / (z + o + 0.8)
			p := (float64(c[1]) + 4*prior) / (float64(c[0]) + float64(c[1]) + 4)
			t.logits[i][j] = float32(math.Log(p / (1 - p)))
		}
	}
	// a field that the corpus has not got takes after all others
	for what := range whats {
		for ctx := range 8 {
			var all [2]float64
			for f := range fields {
				c := t.flagsN[what*flagsOf+f*8+ctx]
				all[0] += float64(c[0])
				all[1] += float64(c[1])
			}
			prior := (all[1] + 0.5) / (all[0] + all[1] + 1)
			for f := range fields {
				i := what*flagsOf + f*8 + ctx
				c := t.flagsN[i]
				p := (float64(c[1]) + 2*prior) / (float64(c[0]) + float64(c[1]) + 2)
				if what == flagKind && ctx >= 2 {
					p = 0.9 // frames of one record: the corpus has but one kind, which is 0, as is the most frequent elsewhere
				}
				m.flags[i] = uint16(min(max(math.Round(p*65536), 48), 65536-48))
			}
		}
	}
}

// quantise turns weights and logits into integers.
func (t *trainer) quantise() {
	for i := range t.weights {
		n := &t.m.nets[i]
		for g := range gates {
			for j, w := range t.weights[i][g] {
				n.weights[g][j/n.inputs][j%n.inputs] = int16(min(max(math.Round(float64(w)*weightOne), math.MinInt16), math.MaxInt16))
			}
		}
		for j, l := range t.logits[i] {
			n.logits[j>>8][j&255] = int16(min(max(math.Round(float64(l)*logitOne), -logitLimit), logitLimit))
		}
	}
}

// constants fills the tables that are the same in every model, so that reading a model needs no floating point.
func (m *Model) constants() {
	for i := range m.squash {
		p := sigmoid(float64(i-logitLimit) / logitOne)
		m.squash[i] = uint16(min(max(math.Round(p*65536), 1), 65535))
	}
	for i := range m.log2 {
		m.log2[i] = uint32(math.Round(math.Log2(1+float64(i)/256) * 65536))
	}
}

// codeLengths makes a prefix code for symbols that were counted, no longer than maxCode, by package-merge (L. Larmore,
// D. Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", JACM 37(3), 1990). Symbols that were never
// seen have a code as well.
func codeLengths(counts [symbols]uint64) (lengths [symbols]uint8) {
	type item struct {
		weight uint64
		leaves []uint16
	}
	var leaves []item
	for s, n := range counts {
		leaves = append(leaves, item{n*16 + 1, []uint16{uint16(s)}})
	}
	byWeight := func(a, b item) int { return cmp.Compare(a.weight, b.weight) }
	slices.SortStableFunc(leaves, byWeight)
	var list []item
	for range maxCode {
		merged := slices.Clone(leaves)
		for i := 0; i+1 < len(list); i += 2 {
			merged = append(merged, item{list[i].weight + list[i+1].weight, slices.Concat(list[i].leaves, list[i+1].leaves)})
		}
		slices.SortStableFunc(merged, byWeight)
		list = merged
	}
	for _, it := range list[:2*symbols-2] {
		for _, s := range it.leaves {
			lengths[s]++
		}
	}
	return lengths
}
