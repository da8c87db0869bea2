#!/usr/bin/env bash
# Images that are no images, damaged, or bombs: each ends the run with code 65 and a sentence of its own that names the file.
. "$(dirname "$0")/refusals.sh"

# Pictures of 32 x 32 pixels; a PNG that promises 50000 x 50000; a progressive JPEG that promises 8000 x 8000.
base64 -d >good.jpg <<'EOF'
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06k
bl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAgACADASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAABQQG/8QAIhAAAgIC
AgEFAQAAAAAAAAAAAgMAAQQSETEhBQZBUWGB/8QAFAEBAAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/AA0BEUBJkBEEBAqQEQQEmQEt3FCG
OOrsVjZXVd8VXMDMICIICTICIICBUgIf7nybXjKxAuuW3sfmuda68ft/P5F0BMhn5N53qLXbbBtqHfGtdd9ff9gf/9k=
EOF
base64 -d >good.png <<'EOF'
iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAAAAABWESUoAAAAGUlEQVR42mNkYMcPmJgJgFEFowpGFQxXBQA0nAy5xywA1wAAAABJRU5ErkJggg==
EOF
base64 -d >bomb.png <<'EOF'
iVBORw0KGgoAAAANSUhEUgAAw1AAAMNQCAIAAADEzaqdAAAAEUlEQVR4nGNgGAWjYBQMdwAAA+gAAbOm00YAAAAASUVORK5CYII=
EOF
base64 -d >bomb.jpg <<'EOF'
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAFA3PEY8MlBGQUZaVVBfeMiCeG5uePWvuZHI////////////////////////////////////////////////////2wBDAVVaWnhpeOuCguv/
////////////////////////////////////////////////////////////////////////wgARCB9AH0ADAREAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQBAQAAAAAA
AAAAAAAAAAAAAAD/2gAMAwEAAhADEAAAAQP/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAEFAn//xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oACAEDAQE/AX//xAAUEQEAAAAAAAAA
AAAAAAAAAAAA/9oACAECAQE/AX//xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAY/An//xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAE/IX//2gAMAwEAAgADAAAAEJ//xAAU
EQEAAAAAAAAAAAAAAAAAAAAA/9oACAEDAQE/EH//xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oACAECAQE/EH//xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAE/EH//2Q==
EOF

mkdir -p pets/{train,val}/{cat,dog}
for split in train val; do
  cp good.jpg "pets/$split/cat/1.jpg"
  cp good.png "pets/$split/dog/2.png"
done
bad=pets/train/dog/bad.jpg
pets=(--set data.kind=folder --set "data.path=$scratch/pets" --set 'data.train=["train"]' --set 'data.test=["val"]' --set data.size=28
  --set data.train_samples=0 --set data.calibration=0 "${short_pretrain[@]}" --set pretrain.batch=3)

# refused_image PATTERN: what stands in $bad ends phase 0, which reads every image in its first step.
run=0
refused_image() {
  run=$((run + 1))
  alone 65 --phase 0 --config "$config" --set "run_dir=$scratch/run-$run" "${pets[@]}"
  says_it_once ".*cannot use the image $scratch/$bad: $1"
}

head -c 340 good.jpg >"$bad"
refused_image 'its JPEG data end early: the file is cut short'
{ head -c 320 good.jpg && printf '\xff\xd9'; } >"$bad"
refused_image 'its JPEG data are damaged, fetch it again: Corrupt JPEG data: premature end of data segment'
{ head -c 320 good.jpg && printf '%0400d' 0 && printf '\xff\xd9'; } >"$bad"
refused_image 'its JPEG data are damaged, fetch it again: Corrupt JPEG data: '
{ head -c 60 good.png && printf 'x' && tail -c +62 good.png; } >"$bad"
refused_image 'its PNG data are damaged, fetch it again: IDAT: CRC error'
head -c 60 good.png >"$bad"
refused_image 'its PNG data end early: the file is cut short'
cp bomb.png "$bad"
refused_image 'it has 50000 x 50000 pixels, more than data.max_pixels = 64000000 allows'
cp bomb.jpg "$bad"
refused_image 'it is a progressive JPEG of 8000 x 8000 pixels, which takes [0-9]+ bytes to decode'
printf '<!DOCTYPE html><html><body>404</body></html>' >"$bad"
refused_image 'it is an HTML or XML page, so the download went wrong'
: >"$bad"
refused_image 'it is empty \(0 bytes\)'
head -c 3000 /dev/zero >"$bad"
refused_image 'it is 3000 zero bytes, as a broken copy leaves'
printf 'GIF89a' >"$bad"
refused_image 'it is a GIF image; only JPEG and PNG images are read'

# Folders that are not as they should be are refused by all ranks before anything runs.
rm "$bad"
cp good.jpg pets/val/stray.jpg
refused_training 65 "cannot tell the class of the image $scratch/pets/val/stray.jpg: it lies beside the folders of classes" 0 folders "${pets[@]}"
rm -r pets/val/stray.jpg pets/val/cat
mv pets/val/dog/2.png pets/val
rmdir pets/val/dog
alone 65 --phase 0 --config "$config" --set "run_dir=$scratch/folders" "${pets[@]}"
says_it_once "cannot tell the classes of the images in $scratch/pets/val: it has no folders of classes but 1 image"

# With labels, and without the bad image, it runs.
printf '2 dog\n' >pets/labels.txt
train 2 0 whole "${pets[@]}" --set 'data.test=["val","labels.txt"]' --set pretrain.batch=2
