package carbon

// The Sustainable Web Design Model, version 4 (https://sustainablewebdesign.org/estimating-digital-emissions/, read in
// November 2026), estimates the emissions of a web page from nothing but its bytes. It is here as a comparison only, and
// labelled so: an average over the whole internet says little of one server, and music is no page. TestSWDM holds it to
// co2.js, its authors' own implementation.
const (
	swdmGB = 1e9 // bytes

	// Energy for each gigabyte that is moved, in kWh.
	swdmOperationDataCentre = 0.055
	swdmOperationNetwork    = 0.059
	swdmOperationDevice     = 0.080
	swdmEmbodiedDataCentre  = 0.012
	swdmEmbodiedNetwork     = 0.013
	swdmEmbodiedDevice      = 0.081

	// swdmWorld is the world's mean grid intensity in 2022 as Ember has it, in g/kWh. What was made somewhere is reckoned
	// with it, wherever it is used.
	swdmWorld = 494
)

// Segments are emissions by where they arise.
type Segments struct{ DataCentre, Network, Device Grams }

// Total adds the segments up.
func (s Segments) Total() Grams { return s.DataCentre + s.Network + s.Device }

// SWDMGrid is the carbon intensity where each segment runs.
type SWDMGrid struct{ DataCentre, Network, Device GramsPerKWh }

// SWDMWorld is the grid that the model takes where none is named.
var SWDMWorld = SWDMGrid{swdmWorld, swdmWorld, swdmWorld}

// SWDM estimates what moving bytes to a listener emits. hosting is the share of the data centre's energy, 0 to 1, that is
// of renewable sources. Less than a byte is nothing.
func SWDM(bytes float64, grid SWDMGrid, hosting float64) (operation, embodied Segments) {
	if !(bytes >= 1) {
		return Segments{}, Segments{}
	}
	gb := bytes / swdmGB
	operation = Segments{
		DataCentre: Grams(gb * swdmOperationDataCentre * float64(grid.DataCentre) * (1 - hosting)),
		Network:    Grams(gb * swdmOperationNetwork * float64(grid.Network)),
		Device:     Grams(gb * swdmOperationDevice * float64(grid.Device)),
	}
	embodied = Segments{
		DataCentre: Grams(gb * swdmEmbodiedDataCentre * swdmWorld),
		Network:    Grams(gb * swdmEmbodiedNetwork * swdmWorld),
		Device:     Grams(gb * swdmEmbodiedDevice * swdmWorld),
	}
	return operation, embodied
}
