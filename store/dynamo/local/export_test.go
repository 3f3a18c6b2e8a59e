package local

// CloseInput does what the system does when the process that started the engine is killed.
func (s *Server) CloseInput() { _ = s.in.Close() }
