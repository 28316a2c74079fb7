"""The architecture as a picture: model (what the resolved templates hold) -> layout -> SVG, or Mermaid."""
