//! The graph of jobs: distinct (job, parent) edges, strongly connected components, ends of chains.
