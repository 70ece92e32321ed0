const canvas = document.getElementById('graph'), search = document.getElementById('search');
const press = (key, more) => canvas.dispatchEvent(new KeyboardEvent('keydown', { key, ...more }));
const result = {}, before = picture.state();
result.nodes = before.nodes;
press('+'); result.closer = picture.state().zoom > before.zoom;
press('0'); result.whole = picture.state().zoom < before.zoom;
const left = picture.state().x;
press('ArrowRight', { shiftKey: true }); result.moved = picture.state().x > left;
search.value = 'ane042'; search.dispatchEvent(new Event('input'));
search.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
result.found = picture.state().chosen;
result.details = document.querySelector('#details h3').textContent;
press('ArrowUp'); result.above = picture.state().chosen;
press('ArrowDown'); result.below = picture.state().chosen;
canvas.dispatchEvent(new WheelEvent('wheel', { deltaY: -300, ctrlKey: true, cancelable: true }));
result.wheel = picture.state().zoom > 0.6;
const drag = (type, x) => {
    canvas.dispatchEvent(new PointerEvent(type, { clientX: x, clientY: 300, pointerId: 1 }));
};
canvas.setPointerCapture = () => {};
const at = picture.state().x;
drag('pointerdown', 300); drag('pointermove', 200); drag('pointerup', 200);
result.dragged = picture.state().x > at;
// It draws at once before it is printed, and else with the browser's next picture.
dispatchEvent(new Event('beforeprint'));
const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
result.painted = pixels.some((value) => value > 0);
document.body.dataset.result = JSON.stringify(result);
