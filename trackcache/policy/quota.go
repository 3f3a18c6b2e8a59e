package policy

import (
	"sync"
	"time"
)

// Quota is what may be spent of something that costs money: so many units a second, of which a second's worth, or Burst,
// may be saved up, and so many a calendar month (UTC), of which this process may spend its share. It is safe for
// concurrent use. The zero value lets nothing be spent.
type Quota struct {
	PerSecond, PerMonth float64
	Burst               float64

	mu    sync.Mutex
	level float64
	at    time.Time
	spent float64
	in    time.Time // the month
	total float64
}

// Take spends n units if they are there. share is this process' part of the month's, 0 to 1.
func (q *Quota) Take(now time.Time, n, share float64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	most := max(q.PerSecond, q.Burst)
	if q.at.IsZero() {
		q.level = most
	} else {
		q.level = min(most, q.level+q.PerSecond*max(0, now.Sub(q.at).Seconds()))
	}
	q.at = now
	if y, m, _ := now.UTC().Date(); q.in.Year() != y || q.in.Month() != m {
		q.in, q.spent = time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), 0
	}
	if n > q.level || q.spent+n > q.PerMonth*share {
		return false
	}
	q.level -= n
	q.spent += n
	q.total += n
	return true
}

// Back returns what was taken and not used.
func (q *Quota) Back(n float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.level += n
	q.spent -= n
	q.total -= n
}

// Units is what was spent since the beginning.
func (q *Quota) Units() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// WriteUnits and ReadUnits are what n bytes cost DynamoDB: a unit of writing is a KB, a unit of consistent reading 4 KB
// ("Read and write operations", DynamoDB developer guide).
func WriteUnits(n int) float64 { return float64((n + 1023) / 1024) }

// ReadUnits: see WriteUnits.
func ReadUnits(n int) float64 { return float64((n + 4095) / 4096) }
