package audio

func (p *parser) mp4() error { return ErrFormat }
func (p *parser) wav() error { return ErrFormat }
func (p *parser) aiff() error { return ErrFormat }
func (p *parser) wavpack() error { return ErrFormat }
func (p *parser) monkeys(int64) error { return ErrFormat }
func (p *parser) dsf() error { return ErrFormat }
func (t *id3Tag) gapless(desc, value string) {}
