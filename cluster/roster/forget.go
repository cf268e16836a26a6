package roster

import "github.com/rouse-im/rouse/storage"

// Forget deletes all that the catalogue knows of a cluster and its nodes: what
// is left can be founded as another cluster.
func Forget() (ms []storage.Mutation) {
	for _, kind := range kinds {
		ms = append(ms, storage.CatalogueRange(kind).Delete())
	}
	return ms
}

// Cluster returns the id of the cluster that a store belongs to; empty if it
// was never founded.
func Cluster(s *storage.Store) (string, error) {
	id := ""
	err := s.Scan(storage.CatalogueRange(kindCluster), func(_, value []byte) bool { id = string(value); return true })
	return id, err
}
