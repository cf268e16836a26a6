// Package simulations holds the data that both engines of the simulations
// share: what truly happens in a world of phones (Event), what the IM nodes make
// of it (Delivery), what breaks (Fault), and all of it in one order (Step).
//
// The world is made by simulations/world from a file of simulations/scenarios,
// or read from a trace (simulations/trace). What came of it is judged by
// simulations/checker and shown by simulations/report.
package simulations
