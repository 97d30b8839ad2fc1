"""Place by place: masks, scales, sums of one place into another."""
