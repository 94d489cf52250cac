"""Agreement with torch-fidelity, prdc, clean-fid and pytorch-fid, whose answers are in answers.json."""
