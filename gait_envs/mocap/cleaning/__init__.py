"""From a capture as it was recorded to one that is whole, evenly timed, in metres and z up."""
